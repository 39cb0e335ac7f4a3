/* shut_in.c: what a verifier may still do once it has the mail: ask a resolver, and answer.
 *
 * Order as in sandbox_child.c: limits first, then the filter. Sockets are of IPv4 and IPv6 alone; no file, no program,
 * no executable page.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "mailhook/verify/judge.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#error "the sandbox knows the system calls of x86_64 and aarch64 only"
#endif

#define MEMORY_BYTES ((rlim_t)512 << 20) /* the program, a mail of 64 MB, its arena, and a copy in another form */
#define CPU_S 5
#define DESCRIPTORS 16

#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define KILL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

static const struct sock_filter rules[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0),
	KILL,
	LOAD(nr),
	ALLOW(read),
	ALLOW(write),
	ALLOW(close),
	ALLOW(connect),
	ALLOW(sendto),
	ALLOW(recvfrom),
#ifdef __NR_poll
	ALLOW(poll),
#endif
	ALLOW(ppoll),
	ALLOW(getrandom),
	ALLOW(clock_gettime),
	ALLOW(futex),
	ALLOW(getpid), /* OpenSSL looks whether it was forked */
	ALLOW(brk),
	ALLOW(munmap),
	ALLOW(mremap),
	ALLOW(madvise),
	ALLOW(exit_group),
	ALLOW(exit),
	ALLOW(rt_sigreturn),
#ifdef MAILHOOK_SANITIZED
	ALLOW(mprotect),
	ALLOW(sched_yield),
	ALLOW(gettid),
	ALLOW(sigaltstack),
	ALLOW(rt_sigprocmask),
#endif
	/* The two that are looked into come last, for that takes the accumulator. */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 5),
	LOAD(args[0]),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	KILL,
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mmap, 0, 3),
	LOAD(args[2]),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	KILL,
};

static bool
set_limit(__rlimit_resource_t resource, rlim_t soft, rlim_t hard)
{
	struct rlimit now;

	if (getrlimit(resource, &now) < 0)
		return false;
	if (hard > now.rlim_max)
		hard = now.rlim_max;
	if (soft > hard)
		soft = hard;
	return setrlimit(resource, &(struct rlimit){ soft, hard }) == 0;
}

bool
judge_shut_in(void)
{
	static const struct sock_fprog program = {
		.len = sizeof(rules) / sizeof(rules[0]),
		.filter = (struct sock_filter *)(uintptr_t)rules, /* the kernel only reads it */
	};

#ifndef MAILHOOK_SANITIZED
	if (!set_limit(RLIMIT_AS, MEMORY_BYTES, MEMORY_BYTES))
		return false;
#endif
	return set_limit(RLIMIT_CPU, CPU_S, CPU_S + 1) && set_limit(RLIMIT_FSIZE, 0, 0) &&
	       set_limit(RLIMIT_CORE, 0, 0) && set_limit(RLIMIT_NOFILE, DESCRIPTORS, DESCRIPTORS) &&
	       prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
