/* unsynced.c: a disk on which nothing is safe but what was synced, as a layer over fsync for LD_PRELOAD.
 *
 * In the folder UNSYNCED_DIR it keeps what the disk would have after a power cut: for each file the bytes that it had at
 * its last fsync or fdatasync, for each folder the names that it had at its last fsync. unsynced.py puts the tree
 * together again from that, and all else is lost: bytes, names that were made, linked or moved, and names that were
 * removed come back.
 *   f-KEY  the bytes of a file; d-KEY  its path, and a line "TYPE KEY NAME" for each name of a folder
 *   count  8 bytes: how many calls there were. KEY: inode number and birth, since numbers are given again
 * What is on the disk changes only in such a call, so cutting the power right before each of them in turn is cutting it
 * at every instant: with UNSYNCED_CUT=N the process that makes the N-th call is killed instead, and so is each that makes
 * a later one; what needs no more syncing goes on to its end. With UNSYNCED_KILL=N only the process that makes the N-th
 * call is killed: what it left unsynced the others must see to.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES 64

/* The layer must not be what fails: a test that loses its own notes says so by dying. */
static void
die(const char *what)
{
	perror(what);
	abort();
}

static const char *
notes(void)
{
	return getenv("UNSYNCED_DIR"); /* NOLINT(concurrency-mt-unsafe): these programs have one thread */
}

/* Not set, or empty: never. */
static uint64_t
number_in(const char *variable)
{
	const char *text = getenv(variable); /* NOLINT(concurrency-mt-unsafe) */

	return text == NULL || text[0] == '\0' ? UINT64_MAX : strtoull(text, NULL, 10);
}

static uint64_t
next_number(const char *dir)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/count", dir);
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(uint64_t)) != 0)
		die(path);
	_Atomic uint64_t *count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (count == MAP_FAILED)
		die(path);
	const uint64_t n = atomic_fetch_add(count, 1) + 1;
	(void)munmap((void *)(uintptr_t)count, sizeof(*count));
	(void)close(fd);
	return n;
}

static bool
key_of(int dir, const char *name, int flags, char key[KEY_BYTES], mode_t *ret_mode)
{
	struct statx st;

	if (statx(dir, name, flags, STATX_BASIC_STATS | STATX_BTIME, &st) != 0)
		return false;
	(void)snprintf(key, KEY_BYTES, "%llx-%llx-%x", (unsigned long long)st.stx_ino,
	    (unsigned long long)((st.stx_mask & STATX_BTIME) != 0 ? st.stx_btime.tv_sec : 0),
	    (st.stx_mask & STATX_BTIME) != 0 ? st.stx_btime.tv_nsec : 0);
	*ret_mode = st.stx_mode;
	return true;
}

/* A note is there whole or not at all: its writer may be killed by somebody else. */
static int
open_note(const char *dir, const char *kind, const char *key, char path[PATH_MAX], char fresh[PATH_MAX])
{
	(void)snprintf(path, PATH_MAX, "%s/%s-%s", dir, kind, key);
	(void)snprintf(fresh, PATH_MAX, "%s/.%s-%s.%d", dir, kind, key, (int)getpid());
	const int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		die(fresh);
	return fd;
}

static void
note_file(int fd, const char *dir, const char *key)
{
	char path[PATH_MAX], fresh[PATH_MAX], bytes[65536];
	off_t at = 0;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* fd may be for writing only */
	const int from = open(path, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		die(path);
	const int to = open_note(dir, "f", key, path, fresh);
	while ((n = pread(from, bytes, sizeof(bytes), at)) > 0) {
		if (write(to, bytes, (size_t)n) != n)
			die(fresh);
		at += n;
	}
	if (n < 0 || close(to) != 0 || close(from) != 0 || rename(fresh, path) != 0)
		die(fresh);
}

static void
note_folder(int fd, const char *dir, const char *key)
{
	char path[PATH_MAX], fresh[PATH_MAX], own[64], name_key[KEY_BYTES];
	const struct dirent *e;
	mode_t mode;

	const int from = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* the caller's place in it stays */
	DIR *d = from < 0 ? NULL : fdopendir(from);
	const int to = open_note(dir, "d", key, path, fresh);
	FILE *out = fdopen(to, "w");
	if (d == NULL || out == NULL)
		die(fresh);
	(void)snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
	char where[PATH_MAX];
	const ssize_t n = readlink(own, where, sizeof(where) - 1);
	if (n < 0)
		die(own);
	where[n] = '\0';
	(void)fprintf(out, "%s\n", where);
	while ((e = readdir(d)) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    !key_of(from, e->d_name, AT_SYMLINK_NOFOLLOW, name_key, &mode))
			continue;
		(void)fprintf(out, "%c %s %s\n", S_ISDIR(mode) ? 'd' : S_ISREG(mode) ? 'f' : '?', name_key, e->d_name);
	}
	if (closedir(d) != 0 || fclose(out) != 0 || rename(fresh, path) != 0)
		die(fresh);
}

static int
synced(int fd, const char *name)
{
	const char *dir = notes();
	const uint64_t cut = number_in("UNSYNCED_CUT"), only = number_in("UNSYNCED_KILL");
	char key[KEY_BYTES];
	mode_t mode;

	if (dir != NULL) {
		const uint64_t n = next_number(dir);
		if (n >= cut || n == only)
			(void)kill(getpid(), SIGKILL);
	}

	void *found = dlsym(RTLD_NEXT, name);
	int (*real)(int);
	memcpy(&real, &found, sizeof(real)); /* ISO C has no cast from an object to a function */
	if (real == NULL)
		die(name);
	const int r = real(fd);
	const int why = errno;
	if (r == 0 && dir != NULL && key_of(fd, "", AT_EMPTY_PATH, key, &mode)) {
		if (S_ISREG(mode))
			note_file(fd, dir, key);
		else if (S_ISDIR(mode))
			note_folder(fd, dir, key);
	}
	errno = why;
	return r;
}

int
fsync(int fd)
{
	return synced(fd, "fsync");
}

int
fdatasync(int fd)
{
	return synced(fd, "fdatasync");
}
