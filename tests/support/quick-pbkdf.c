// Loaded into qemu-img: says that the thread has had a thousand times the CPU time that it had. Before qemu-img fills a key
// slot it doubles iterations of PBKDF2 until they took half a second, and again for the digest of the key, whatever
// `iter-time` asks for; by this clock the first try takes long enough, and the least number of iterations is what comes of it.
#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void stretch(struct timeval *time) {
  long long microseconds = ((long long)time->tv_sec * 1000000 + time->tv_usec) * 1000;
  time->tv_sec = microseconds / 1000000;
  time->tv_usec = microseconds % 1000000;
}

int getrusage(int who, struct rusage *usage) {
  int status = (int)syscall(SYS_getrusage, who, usage);
  if (status == 0 && who == RUSAGE_THREAD) {
    stretch(&usage->ru_utime);
    stretch(&usage->ru_stime);
  }
  return status;
}
