// deny CALL[:ARG1] ERRNO [CALL[:ARG1] ERRNO]... -- COMMAND: runs a command in which system calls fail, as a container's
// policy makes them fail. Numbers only (x86-64); with ARG1, only calls whose second argument is that.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)

int main(int argc, char **argv) {
  struct sock_filter program[64];
  unsigned short length = 0;
  int at = 1;
  for (; at + 1 < argc && strcmp(argv[at], "--") != 0 && length < 50; at += 2) {
    char *rest;
    unsigned long call = strtoul(argv[at], &rest, 0);
    unsigned error = (unsigned)strtoul(argv[at + 1], NULL, 0);
    struct sock_filter with_argument[] = {LOAD(nr), UNLESS(call, 3), LOAD(args[1]),
                                          UNLESS(strtoul(rest + (*rest == ':'), NULL, 0), 1),
                                          RETURN(SECCOMP_RET_ERRNO | error)};
    struct sock_filter plain[] = {LOAD(nr), UNLESS(call, 1), RETURN(SECCOMP_RET_ERRNO | error)};
    unsigned short count = *rest == ':' ? 5 : 3;
    memcpy(program + length, *rest == ':' ? with_argument : plain, count * sizeof *program);
    length += count;
  }
  program[length++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
  struct sock_fprog filter = {length, program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    perror("seccomp");
    return 77;
  }
  execvp(argv[at + 1], argv + at + 1);
  perror(argv[at + 1]);
  return 127;
}
