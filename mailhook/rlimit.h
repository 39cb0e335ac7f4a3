/* rlimit.h: limits of this process, as its sandboxes set them. */
#ifndef MAILHOOK_RLIMIT_H
#define MAILHOOK_RLIMIT_H

#include <stdbool.h>
#include <sys/resource.h>

/* Sets a limit, never above what the process already lives under. */
bool rlimit_set(__rlimit_resource_t resource, rlim_t soft, rlim_t hard);

#endif
