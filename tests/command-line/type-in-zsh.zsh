# Types a line and a tab into an interactive zsh that has the completions of the file $1, and prints what was offered.
zmodload zsh/zpty
directory=$(mktemp -d)
hits=$directory/hits
zpty -b shell zsh -f -i
zpty -w shell "PS1=; autoload -Uz compinit; compinit -u -d $directory/dump; source ./$1; bindkey '^I' complete-word"
# Says what is added to the matches, and then that it was all.
zpty -w shell "compadd() {
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd \"\$@\"; return; fi
  typeset -a found; builtin compadd -A found \"\$@\"
  print -r -- \"\${(j: :)found}\" >>$hits
  builtin compadd \"\$@\"
}
finished() { zle complete-word; : >$directory/done }; zle -N finished; bindkey '^I' finished; : >$directory/ready"
for ((i = 0; i < 400; i += 1)); do [[ -e $directory/ready ]] && break; sleep 0.02; done
zpty -n -w shell "$2"$'\t'
for ((i = 0; i < 400; i += 1)); do [[ -e $directory/done ]] && break; sleep 0.02; done
zpty -d shell
[[ -e $hits ]] && cat $hits
rm -r $directory
