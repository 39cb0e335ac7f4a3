/* folder.h: files that are there whole or not at all. */
#ifndef ACTIONS_COMMON_FOLDER_H
#define ACTIONS_COMMON_FOLDER_H

#include <sys/types.h>

#include "mailhook/fd.h"

/* Opens a folder, made with mode where it is missing (its parent must exist). MH_RETRY: it could not be. */
enum mh_status folder_open(const char *path, mode_t mode, int *ret_fd, struct mh_err *err);
/* The same for a folder inside another. */
enum mh_status folder_open_at(int parent, const char *name, mode_t mode, int *ret_fd, struct mh_err *err);

/* Whether folder_open() could make a folder that is not there; errno says why not. The state folder may be missing: the core
 * makes it before anything runs. */
bool folder_can_be_made(const char *path, const char *state_dir);

/* Reads a whole file. MH_SKIP: there is none; MH_BAD: no regular file; MH_LIMIT: longer than ret->max. */
enum mh_status file_read(int folder, const char *name, struct buf *ret, struct mh_err *err);
/* Writes a file and makes its bytes durable; its name is so only after the folder's fsync. It may replace an old one. */
enum mh_status file_write(int folder, const char *name, struct mh_span bytes, mode_t mode, struct mh_err *err);
/* Gives the file "name" these bytes at once: temporary file, fsync, rename, fsync of the folder. */
enum mh_status file_replace(int folder, const char *name, struct mh_span bytes, mode_t mode, struct mh_err *err);

#endif
