/* shut_in.c: what a verifier may still do once it has the mail: ask the resolver by sockets that it is given, and answer;
 * and what the process may do that opens those for it.
 *
 * Order as in sandbox_child.c: limits first, then the filter. No file, no program, no executable page.
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

#include "mailhook/rlimit.h"
#include "mailhook/verify/judge.h"
#include "mailhook/verify/opener.h"

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

#define OPENER_MEMORY_BYTES ((rlim_t)128 << 20) /* what the program has mapped when it is forked is 20 */
#define OPENER_CPU_S 2

/* The lower and the upper half of an argument: both machines are little-endian. */
#define LOAD_UPPER(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field) + sizeof(uint32_t))
/* In front of each list: calls of this machine only; then the number of the call is what the lines compare with. */
#define HEAD LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0), KILL, LOAD(nr)

/* Neither socket() nor connect(), and a datagram goes only where the socket is connected to. */
static const struct sock_filter judge_rules[] = {
	HEAD,
	ALLOW(read),
	ALLOW(write),
	ALLOW(close),
	ALLOW(recvfrom),
	ALLOW(recvmsg), /* the sockets come by it */
	ALLOW(wait4),   /* for the opener's end */
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
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_sendto, 0, 6),
	LOAD(args[4]),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3),
	LOAD_UPPER(args[4]),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	KILL,
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mmap, 0, 3),
	LOAD(args[2]),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	KILL,
};

static const struct sock_filter opener_rules[] = {
	HEAD,
	ALLOW(read),
	ALLOW(connect),
	ALLOW(sendmsg),
	ALLOW(close),
	ALLOW(exit_group),
	ALLOW(exit),
	ALLOW(rt_sigreturn),
#ifdef MAILHOOK_SANITIZED
	ALLOW(write),
	ALLOW(mmap),
	ALLOW(munmap),
	ALLOW(mprotect),
	ALLOW(futex),
	ALLOW(getpid),
	ALLOW(gettid),
	ALLOW(sigaltstack),
	ALLOW(rt_sigprocmask),
#endif
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 5),
	LOAD(args[0]),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	KILL,
	KILL,
};

struct limits {
	rlim_t memory_bytes, cpu_s, descriptors;
};

static bool
shut_in(const struct sock_filter *rules, size_t n, const struct limits *l)
{
	const struct sock_fprog program = {
		.len = (unsigned short)n,
		.filter = (struct sock_filter *)(uintptr_t)rules, /* the kernel only reads it */
	};

#ifndef MAILHOOK_SANITIZED
	if (!rlimit_set(RLIMIT_AS, l->memory_bytes, l->memory_bytes))
		return false;
#endif
	return rlimit_set(RLIMIT_CPU, l->cpu_s, l->cpu_s + 1) && rlimit_set(RLIMIT_FSIZE, 0, 0) &&
	       rlimit_set(RLIMIT_CORE, 0, 0) && rlimit_set(RLIMIT_NOFILE, l->descriptors, l->descriptors) &&
	       prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

bool
judge_shut_in(void)
{
	return shut_in(judge_rules, sizeof(judge_rules) / sizeof(judge_rules[0]),
	    &(const struct limits){ MEMORY_BYTES, CPU_S, DESCRIPTORS });
}

bool
opener_shut_in(void)
{
	return shut_in(opener_rules, sizeof(opener_rules) / sizeof(opener_rules[0]),
	    &(const struct limits){ OPENER_MEMORY_BYTES, OPENER_CPU_S, DESCRIPTORS });
}
