/* Runs a command and lets chosen system calls on chosen files fail, for it and all its threads and children, whatever
 * library makes them: seccomp user notification (seccomp_unotify(2)). Counts the calls over all threads, in the order in
 * which the kernel tells them.
 *
 *   injector REPORT OUTPUT INPUT DEVICE CALL FROM TIMES ERRNO -- program argument…
 *
 * OUTPUT and INPUT are directories whose files count, DEVICE is one more output ("-": the standard output). Calls FROM to
 * FROM + TIMES - 1 of CALL (from 1) fail with ERRNO; with 0 the process is killed in the first of them. REPORT gets lines of a word and a number: how often each call was
 * made; `injected`; `signal` where one ended the command; `left` 1 where a process outlived it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* What decides whether a call counts. */
enum scope { OUT_FD, IN_FD, HOLES, OUT_NAME, OUT_CREATED };

static struct call {
  const char *name;
  int number;
  enum scope scope;
  int fd; /* argument that holds the descriptor (of a file, or of the directory of a name); -1: none */
  int path; /* argument that holds the name; -1: none */
  long count;
} calls[] = {
    {"pwrite64", SYS_pwrite64, OUT_FD, 0, -1, 0},
    {"pwritev", SYS_pwritev, OUT_FD, 0, -1, 0},
    {"pwritev2", SYS_pwritev2, OUT_FD, 0, -1, 0},
    {"write", SYS_write, OUT_FD, 0, -1, 0},
    {"writev", SYS_writev, OUT_FD, 0, -1, 0},
    {"sendfile", SYS_sendfile, OUT_FD, 0, -1, 0},
    {"copy_file_range", SYS_copy_file_range, OUT_FD, 2, -1, 0},
    {"fallocate", SYS_fallocate, OUT_FD, 0, -1, 0},
    {"ftruncate", SYS_ftruncate, OUT_FD, 0, -1, 0},
    {"fsync", SYS_fsync, OUT_FD, 0, -1, 0},
    {"fdatasync", SYS_fdatasync, OUT_FD, 0, -1, 0},
    {"sync_file_range", SYS_sync_file_range, OUT_FD, 0, -1, 0},
    {"fchmod", SYS_fchmod, OUT_FD, 0, -1, 0},
    {"fchown", SYS_fchown, OUT_FD, 0, -1, 0},
    {"close", SYS_close, OUT_FD, 0, -1, 0},
    {"pread64", SYS_pread64, IN_FD, 0, -1, 0},
    {"preadv", SYS_preadv, IN_FD, 0, -1, 0},
    {"preadv2", SYS_preadv2, IN_FD, 0, -1, 0},
    {"read", SYS_read, IN_FD, 0, -1, 0},
    {"lseek", SYS_lseek, HOLES, 0, -1, 0},
    {"linkat", SYS_linkat, OUT_NAME, 2, 3, 0},
    {"link", SYS_link, OUT_NAME, -1, 1, 0},
    {"rename", SYS_rename, OUT_NAME, -1, 0, 0},
    {"renameat", SYS_renameat, OUT_NAME, 0, 1, 0},
    {"renameat2", SYS_renameat2, OUT_NAME, 0, 1, 0},
    {"unlink", SYS_unlink, OUT_NAME, -1, 0, 0},
    {"unlinkat", SYS_unlinkat, OUT_NAME, 0, 1, 0},
    {"openat", SYS_openat, OUT_CREATED, 0, 1, 0},
    {"clone_range", SYS_ioctl, OUT_FD, 0, -1, 0}, /* FICLONERANGE, and no other ioctl; the last one here */
};
enum { CALLS = sizeof calls / sizeof calls[0], PATH_SIZE = 4096 };

static const char *output, *input, *device;
static struct stat standard_output;

static void die(const char *what) {
  fprintf(stderr, "injector: %s: %s\n", what, strerror(errno));
  exit(125);
}

static int below(const char *path, const char *directory) {
  size_t length = strlen(directory);
  return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == 0);
}

/* The kernel's name of a descriptor, as in "/dir/#123 (deleted)" for a file without a name. */
static int name_of(pid_t pid, const char *what, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/%d/%s", pid, what);
  ssize_t length = readlink(link, path, PATH_SIZE - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return 1;
}

static int name_of_fd(pid_t pid, int fd, char *path) {
  char what[32];
  if (fd == AT_FDCWD) return name_of(pid, "cwd", path);
  snprintf(what, sizeof what, "fd/%d", fd);
  return name_of(pid, what, path);
}

static int is_output(pid_t pid, int fd) {
  char path[PATH_SIZE], link[64];
  if (!name_of_fd(pid, fd, path)) return 0;
  if (below(path, output)) return 1;
  if (strcmp(device, "-") != 0) return strcmp(path, device) == 0;
  struct stat found;
  snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, fd);
  return stat(link, &found) == 0 && found.st_dev == standard_output.st_dev && found.st_ino == standard_output.st_ino;
}

static int is_input(pid_t pid, int fd) {
  char path[PATH_SIZE];
  return name_of_fd(pid, fd, path) && below(path, input);
}

/* A name in the memory of a process, page by page: the one behind its last may not be there. */
static int read_name(pid_t pid, unsigned long address, char *name) {
  size_t have = 0;
  while (have < PATH_SIZE - 1) {
    size_t room = 4096 - ((address + have) & 4095);
    if (room > PATH_SIZE - 1 - have) room = PATH_SIZE - 1 - have;
    struct iovec local = {name + have, room}, remote = {(void *)(address + have), room};
    ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    if (got <= 0) return 0;
    if (memchr(name + have, 0, (size_t)got) != NULL) return 1;
    have += (size_t)got;
  }
  name[have] = 0;
  return 1;
}

/* Whether a name lies in the output's directory. */
static int names_output(pid_t pid, int directory, unsigned long address) {
  char name[PATH_SIZE], path[PATH_SIZE];
  if (!read_name(pid, address, name)) return 0;
  /* Node has no openat; a name relative to a descriptor begins so. */
  int through = 0, skipped = 0;
  if (sscanf(name, "/proc/self/fd/%d/%n", &through, &skipped) == 1 && skipped > 0)
    return name_of_fd(pid, through, path) && below(path, output);
  if (name[0] == '/') return below(name, output);
  if (!name_of_fd(pid, directory, path)) return 0;
  char whole[2 * PATH_SIZE];
  snprintf(whole, sizeof whole, "%s/%s", path, name);
  return below(whole, output);
}

static int counts(const struct call *call, const struct seccomp_notif *asked) {
  const __u64 *args = asked->data.args;
  pid_t pid = (pid_t)asked->pid;
  int fd = call->fd < 0 ? AT_FDCWD : (int)args[call->fd];
  switch (call->scope) {
    case OUT_FD:
      return is_output(pid, fd);
    case IN_FD:
      return is_input(pid, fd);
    case HOLES:
      return (args[2] == SEEK_DATA || args[2] == SEEK_HOLE) && (is_input(pid, fd) || is_output(pid, fd));
    case OUT_CREATED:
      if ((args[2] & O_CREAT) == 0 && (args[2] & O_TMPFILE) != O_TMPFILE) return 0;
      return names_output(pid, fd, args[call->path]);
    case OUT_NAME:
      return names_output(pid, fd, args[call->path]);
  }
  return 0;
}

static int install_filter(void) {
  struct sock_filter filter[CALLS + 7];
  int at = 0;
  filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
  filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, CALLS + 3);
  filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (int index = 0; index < CALLS - 1; index++)
    filter[at++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[index].number, (__u8)(CALLS + 2 - index), 0);
  filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 2);
  filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]));
  filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FICLONERANGE, 1, 0);
  filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  struct sock_fprog program = {(unsigned short)at, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

int main(int argc, char **argv) {
  if (argc < 11 || strcmp(argv[9], "--") != 0) {
    fprintf(stderr, "injector: wrong arguments\n");
    return 125;
  }
  const char *report = argv[1], *wanted = argv[5];
  long from = atol(argv[6]), times = atol(argv[7]), injected = 0;
  int error = atoi(argv[8]);
  output = argv[2];
  input = argv[3];
  device = argv[4];
  fstat(STDOUT_FILENO, &standard_output);

  volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) die("mmap");
  *shared = -1;
  /* The child's listener becomes ours too: both have one table of descriptors until it executes the command. */
  pid_t child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
  if (child < 0) die("clone");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int made = install_filter();
    *shared = made < 0 ? -2 : made;
    if (made >= 0) execvp(argv[10], argv + 10);
    _exit(125);
  }
  while (*shared == -1) usleep(100);
  int listener = *shared;
  if (listener < 0) {
    fprintf(stderr, "injector: the kernel gives no seccomp listener\n");
    return 126;
  }

  int status = -1, ended = 0, patience = 40;
  for (;;) {
    struct pollfd poller = {listener, POLLIN, 0};
    int ready = poll(&poller, 1, 50);
    if (!ended && waitpid(child, &status, WNOHANG) == child) ended = 1;
    if (ready > 0 && (poller.revents & POLLIN) == 0) break; /* nobody is left under the filter */
    if (ready <= 0) {
      if (ended && --patience == 0) break;
      continue;
    }
    struct seccomp_notif asked;
    struct seccomp_notif_resp answer;
    memset(&asked, 0, sizeof asked);
    memset(&answer, 0, sizeof answer);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) continue;
    answer.id = asked.id;
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    for (int index = 0; index < CALLS; index++) {
      struct call *call = &calls[index];
      if (call->number != asked.data.nr || !counts(call, &asked)) continue;
      call->count++;
      if (strcmp(call->name, wanted) == 0 && call->count >= from && call->count - from < times) {
        answer.flags = 0;
        answer.error = error == 0 ? -EIO : -error;
        if (error == 0) kill((pid_t)asked.pid, SIGKILL);
        injected++;
      }
    }
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
  if (!ended) waitpid(child, &status, 0);

  FILE *file = fopen(report, "w");
  if (file == NULL) die(report);
  for (int index = 0; index < CALLS; index++)
    if (calls[index].count > 0) fprintf(file, "%s %ld\n", calls[index].name, calls[index].count);
  fprintf(file, "injected %ld\nleft %d\nsignal %d\n", injected, patience == 0, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  fclose(file);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 124;
}
