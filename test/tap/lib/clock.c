/*
 * clock.c - a wall clock that test/tap/clock.pl sets: loaded before all other libraries (LD_PRELOAD), it adds the
 * number of seconds in the file that CLOCK_OFFSET_FILE names, 8 bytes, to what the machine says.  Clocks that nobody
 * can set are left alone.  libfaketime would do, but for processes that the postmaster starts while it waits: these
 * keep the time of before.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset;

__attribute__((constructor)) static void
find_offset(void)
{
	const char *file = getenv("CLOCK_OFFSET_FILE");
	int			fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
	void	   *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	if (at != MAP_FAILED)
		offset = at;
}

int
clock_gettime(clockid_t which, struct timespec *at)
{
	int			result = (int) syscall(SYS_clock_gettime, which, at);

	if (result == 0 && offset && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
		at->tv_sec += *offset;
	return result;
}

int
gettimeofday(struct timeval *restrict at, void *restrict zone)
{
	struct timespec exact;
	int			result = clock_gettime(CLOCK_REALTIME, &exact);

	(void) zone;
	at->tv_sec = exact.tv_sec;
	at->tv_usec = exact.tv_nsec / 1000;
	return result;
}

time_t
time(time_t *at)
{
	struct timespec exact;

	clock_gettime(CLOCK_REALTIME, &exact);
	if (at)
		*at = exact.tv_sec;
	return exact.tv_sec;
}
