/* A disk whose quota is used up while the file exists that QUOTA_USED_UP names.
 * Loaded before the C library: kernels that tests run on may know no quotas. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static int used_up(void) {
	const char *file = getenv("QUOTA_USED_UP");
	int before = errno;
	int is = file && access(file, F_OK) == 0;
	errno = is ? EDQUOT : before;
	return is;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) {
	return used_up() ? -1 : REAL(pwrite)(file, bytes, length, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) {
	return used_up() ? -1 : REAL(pwrite64)(file, bytes, length, at);
}
