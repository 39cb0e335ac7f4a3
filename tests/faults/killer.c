/* killer.c: runs a command and kills it, with all that it started, at its N-th call that changes something; or lets that
 * call fail.
 *
 *   killer [--after | --error NAME [--from]] [--seconds S] [--log FILE] --report FILE N COMMAND [ARG...]
 *
 * Counted are the calls that write, make, rename, link, remove, resize or sync, over all processes of the tree in the
 * order in which they enter. The N-th brings SIGKILL to every process of the tree: at its entry, so that it does not
 * happen, or with --after when it has happened. The report is one line:
 *   killed N CALL            the N-th was reached
 *   ended STATUS COUNT       it was not: the command's exit status (128 + signal) and how many calls there were
 *   late COUNT               the tree still ran after S seconds (default 60) and was killed
 * N = 0 kills never. Processes that outlive the command (a detached worker) are waited for as well.
 *
 * With --error (ENOSPC, EIO or EDQUOT) nothing is killed: the N-th call does not happen and fails so, with --from all
 * that follow as well, as on a disk that stays full. Counted then are only calls on files and folders, and none of the
 * command's own process, which is the shell that notes what was answered.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SYSCALL_STOP (SIGTRAP | 0x80) /* PTRACE_O_TRACESYSGOOD */

struct process {
	pid_t pid;
	bool doomed;  /* at the exit of the call that it is in, the tree is killed */
	bool refused; /* the call that it is in does not happen, and fails */
};

struct tree {
	struct process *items; /* own */
	size_t n, cap;
	pid_t root;
	int root_status; /* as waitpid gave it */
	bool started;    /* the command's exec was seen: from here calls are counted */
	unsigned long count, fatal;
	bool after, killed, late, from;
	int error; /* 0: kill */
	const char *fatal_name;
	FILE *log;
};

struct options {
	bool after, from;
	int error;
	unsigned long seconds, fatal;
	const char *report, *log;
	char **command;
};

/* -- which calls count -------------------------------------------------------------------------------------------- */

#define OPEN_FLAGS_NONE (-1)
#define BY_NAME (-1)

static const struct call {
	long nr;
	const char *name;
	int flags_at; /* the argument with open's flags: counted only where it may make or empty a file */
	int fd_at;    /* the argument that is a descriptor of what changes; by name: a path says it */
} calls[] = {
	{ SYS_openat, "openat", 2, BY_NAME },
	{ SYS_write, "write", OPEN_FLAGS_NONE, 0 },
	{ SYS_pwrite64, "pwrite64", OPEN_FLAGS_NONE, 0 },
	{ SYS_writev, "writev", OPEN_FLAGS_NONE, 0 },
	{ SYS_pwritev, "pwritev", OPEN_FLAGS_NONE, 0 },
	{ SYS_pwritev2, "pwritev2", OPEN_FLAGS_NONE, 0 },
	{ SYS_sendto, "sendto", OPEN_FLAGS_NONE, 0 },
	{ SYS_sendmsg, "sendmsg", OPEN_FLAGS_NONE, 0 },
	{ SYS_sendfile, "sendfile", OPEN_FLAGS_NONE, 0 },
	{ SYS_copy_file_range, "copy_file_range", OPEN_FLAGS_NONE, 2 },
	{ SYS_ftruncate, "ftruncate", OPEN_FLAGS_NONE, 0 },
	{ SYS_truncate, "truncate", OPEN_FLAGS_NONE, BY_NAME },
	{ SYS_fallocate, "fallocate", OPEN_FLAGS_NONE, 0 },
	{ SYS_fsync, "fsync", OPEN_FLAGS_NONE, 0 },
	{ SYS_fdatasync, "fdatasync", OPEN_FLAGS_NONE, 0 },
	{ SYS_renameat, "renameat", OPEN_FLAGS_NONE, BY_NAME },
	{ SYS_renameat2, "renameat2", OPEN_FLAGS_NONE, BY_NAME },
	{ SYS_linkat, "linkat", OPEN_FLAGS_NONE, BY_NAME },
	{ SYS_symlinkat, "symlinkat", OPEN_FLAGS_NONE, BY_NAME },
	{ SYS_unlinkat, "unlinkat", OPEN_FLAGS_NONE, BY_NAME },
	{ SYS_mkdirat, "mkdirat", OPEN_FLAGS_NONE, BY_NAME },
	{ SYS_fchmod, "fchmod", OPEN_FLAGS_NONE, 0 },
	{ SYS_fchmodat, "fchmodat", OPEN_FLAGS_NONE, BY_NAME },
	{ SYS_fchown, "fchown", OPEN_FLAGS_NONE, 0 },
	{ SYS_utimensat, "utimensat", OPEN_FLAGS_NONE, BY_NAME },
#ifdef SYS_open /* newer architectures have only the ...at calls */
	{ SYS_open, "open", 1, BY_NAME },
	{ SYS_creat, "creat", OPEN_FLAGS_NONE, BY_NAME },
	{ SYS_rename, "rename", OPEN_FLAGS_NONE, BY_NAME },
	{ SYS_link, "link", OPEN_FLAGS_NONE, BY_NAME },
	{ SYS_symlink, "symlink", OPEN_FLAGS_NONE, BY_NAME },
	{ SYS_unlink, "unlink", OPEN_FLAGS_NONE, BY_NAME },
	{ SYS_mkdir, "mkdir", OPEN_FLAGS_NONE, BY_NAME },
	{ SYS_rmdir, "rmdir", OPEN_FLAGS_NONE, BY_NAME },
	{ SYS_chmod, "chmod", OPEN_FLAGS_NONE, BY_NAME },
#endif
};

/* A file or a folder, and no pipe or socket: only those have a disk that can be full. */
static bool
is_on_disk(pid_t pid, int fd)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	return stat(path, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

/* The call's name where it counts, else NULL. disk: only where a disk can refuse it. */
static const char *
counted(pid_t pid, const struct __ptrace_syscall_info *info, bool disk)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if ((long)info->entry.nr != calls[i].nr)
			continue;
		if (disk && calls[i].fd_at != BY_NAME && !is_on_disk(pid, (int)info->entry.args[calls[i].fd_at]))
			return NULL;
		if (calls[i].flags_at == OPEN_FLAGS_NONE)
			return calls[i].name;
		return (info->entry.args[calls[i].flags_at] & (O_CREAT | O_TRUNC)) != 0 ? calls[i].name : NULL;
	}
	return NULL;
}

/* -- the tree ----------------------------------------------------------------------------------------------------- */

/* ptrace takes numbers as pointers. */
static void *
number_for(unsigned long n)
{
	return (void *)n;
}

static void
die(const char *what)
{
	perror(what);
	exit(2); /* PTRACE_O_EXITKILL takes the tree along */
}

static struct process *
process_of(struct tree *t, pid_t pid)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->items[i].pid == pid)
			return &t->items[i];
	if (t->n == t->cap) {
		t->cap = t->cap == 0 ? 16 : t->cap * 2;
		t->items = reallocarray(t->items, t->cap, sizeof(*t->items));
		if (t->items == NULL)
			die("killer: memory");
	}
	t->items[t->n] = (struct process){ .pid = pid };
	return &t->items[t->n++];
}

static void
forget(struct tree *t, pid_t pid)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->items[i].pid == pid) {
			t->items[i] = t->items[--t->n];
			return;
		}
	}
}

static void
kill_all(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++)
		(void)kill(t->items[i].pid, SIGKILL);
	t->killed = true;
}

static void
go_on(pid_t pid, long request, int sig)
{
	/* ESRCH: it was killed while it stood */
	if (ptrace((enum __ptrace_request)request, pid, NULL, number_for((unsigned long)sig)) != 0 && errno != ESRCH)
		die("killer: ptrace");
}

/* At a call's entry: it is none. At its exit: that is what it came to. */
static void
refuse(pid_t pid, int error)
{
#if defined(__x86_64__)
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) != 0)
		die("killer: registers");
	if (error == 0)
		regs.orig_rax = ~0ULL;
	else
		regs.rax = (unsigned long long)-(long long)error;
	if (ptrace(PTRACE_SETREGS, pid, NULL, &regs) != 0)
		die("killer: registers");
#elif defined(__aarch64__)
	struct user_regs_struct regs;
	int none = -1;
	struct iovec v = { .iov_base = &regs, .iov_len = sizeof(regs) },
		     nr = { .iov_base = &none, .iov_len = sizeof(none) };

	if (error == 0) {
		if (ptrace((enum __ptrace_request)PTRACE_SETREGSET, pid, number_for(NT_ARM_SYSTEM_CALL), &nr) != 0)
			die("killer: registers");
		return;
	}
	if (ptrace((enum __ptrace_request)PTRACE_GETREGSET, pid, number_for(NT_PRSTATUS), &v) != 0)
		die("killer: registers");
	regs.regs[0] = (unsigned long long)-(long long)error;
	if (ptrace((enum __ptrace_request)PTRACE_SETREGSET, pid, number_for(NT_PRSTATUS), &v) != 0)
		die("killer: registers");
#else
	(void)pid;
	(void)error;
	errno = ENOSYS;
	die("killer: --error on this machine");
#endif
}

static void
on_call(struct tree *t, struct process *p)
{
	struct __ptrace_syscall_info info;

	if (!t->started ||
	    ptrace((enum __ptrace_request)PTRACE_GET_SYSCALL_INFO, p->pid, number_for(sizeof(info)), &info) <= 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_EXIT && p->doomed) {
		kill_all(t);
		return;
	}
	if (info.op == PTRACE_SYSCALL_INFO_EXIT && p->refused) {
		refuse(p->pid, t->error);
		p->refused = false;
	}
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY || (t->error != 0 && p->pid == t->root))
		return;
	const char *name = counted(p->pid, &info, t->error != 0);
	if (name == NULL)
		return;
	t->count++;
	if (t->log != NULL)
		(void)fprintf(t->log, "%lu %d %s\n", t->count, (int)p->pid, name);
	if (t->error != 0) {
		p->refused = t->count == t->fatal || (t->from && t->fatal > 0 && t->count > t->fatal);
		if (p->refused)
			refuse(p->pid, 0);
		return;
	}
	if (t->count != t->fatal)
		return;
	t->fatal_name = name;
	if (t->after)
		p->doomed = true;
	else
		kill_all(t);
}

static void
on_stop(struct tree *t, pid_t pid, int status)
{
	const int sig = WSTOPSIG(status), event = status >> 16;

	struct process *p = process_of(t, pid);
	if (t->killed) {
		(void)kill(pid, SIGKILL); /* born while the others died */
		go_on(pid, PTRACE_CONT, 0);
	} else if (sig == SYSCALL_STOP) {
		on_call(t, p);
		go_on(pid, t->killed ? PTRACE_CONT : PTRACE_SYSCALL, 0);
	} else if (event == PTRACE_EVENT_STOP && sig != SIGTRAP) {
		go_on(pid, PTRACE_LISTEN, 0); /* a real stop signal: it stays stopped */
	} else {
		if (event == PTRACE_EVENT_EXEC && pid == t->root)
			t->started = true;
		go_on(pid, PTRACE_SYSCALL, event == 0 ? sig : 0);
	}
}

static volatile sig_atomic_t time_is_up; /* a signal handler has no other place */

static void
on_alarm(int sig)
{
	(void)sig;
	time_is_up = 1;
}

static void
follow(struct tree *t)
{
	while (t->n > 0) {
		int status;
		const pid_t pid = waitpid(-1, &status, __WALL);

		if (time_is_up != 0 && !t->killed) {
			t->late = true;
			kill_all(t);
		}
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			break;
		if (WIFSTOPPED(status)) {
			on_stop(t, pid, status);
			continue;
		}
		if (pid == t->root)
			t->root_status = status;
		forget(t, pid);
	}
}

/* The command, seized before its exec. */
static void
start(struct tree *t, char **command)
{
	int gate[2];
	char c;

	if (pipe2(gate, O_CLOEXEC) != 0)
		die("killer: pipe");
	t->root = fork();
	if (t->root < 0)
		die("killer: fork");
	if (t->root == 0) {
		(void)close(gate[1]);
		while (read(gate[0], &c, 1) < 0 && errno == EINTR)
			;
		(void)execvp(command[0], command);
		perror(command[0]);
		_exit(127);
	}
	(void)close(gate[0]);
	const unsigned long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
				      PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	if (ptrace(PTRACE_SEIZE, t->root, NULL, number_for(options)) != 0 ||
	    ptrace(PTRACE_INTERRUPT, t->root, NULL, NULL) != 0)
		die("killer: ptrace");
	(void)process_of(t, t->root);
	(void)close(gate[1]);
}

static void
report(const struct tree *t, const char *path)
{
	FILE *f = fopen(path, "we");

	if (f == NULL)
		die(path);
	if (t->late)
		(void)fprintf(f, "late %lu\n", t->count);
	else if (t->killed)
		(void)fprintf(f, "killed %lu %s\n", t->fatal, t->fatal_name);
	else
		(void)fprintf(f, "ended %d %lu\n",
		    WIFEXITED(t->root_status) ? WEXITSTATUS(t->root_status) : 128 + WTERMSIG(t->root_status), t->count);
	if (fclose(f) != 0)
		die(path);
}

/* -- arguments ---------------------------------------------------------------------------------------------------- */

static bool
number(const char *text, unsigned long *ret)
{
	char *end;

	errno = 0;
	*ret = strtoul(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

static int
error_of(const char *name)
{
	static const struct {
		const char *name;
		int error;
	} errors[] = { { "ENOSPC", ENOSPC }, { "EIO", EIO }, { "EDQUOT", EDQUOT } };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(name, errors[i].name) == 0)
			return errors[i].error;
	return 0;
}

static bool
arguments(int argc, char **argv, struct options *o)
{
	int i = 1;

	*o = (struct options){ .seconds = 60 };
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--after") == 0)
			o->after = true;
		else if (strcmp(argv[i], "--from") == 0)
			o->from = true;
		else if (strcmp(argv[i], "--error") == 0 && i + 1 < argc && (o->error = error_of(argv[i + 1])) != 0)
			i++;
		else if (strcmp(argv[i], "--report") == 0 && i + 1 < argc)
			o->report = argv[++i];
		else if (strcmp(argv[i], "--log") == 0 && i + 1 < argc)
			o->log = argv[++i];
		else if (strcmp(argv[i], "--seconds") != 0 || i + 1 >= argc || !number(argv[++i], &o->seconds))
			return false;
	}
	if ((o->from && o->error == 0) || (o->after && o->error != 0) || o->report == NULL || i + 1 >= argc ||
	    !number(argv[i], &o->fatal))
		return false;
	o->command = argv + i + 1;
	return true;
}

int
main(int argc, char **argv)
{
	struct options o;
	const struct sigaction alarmed = { .sa_handler = on_alarm };

	if (!arguments(argc, argv, &o)) {
		(void)fputs("usage: killer [--after | --error NAME [--from]] [--seconds S] [--log FILE] --report FILE "
			    "N COMMAND [ARG...]\n",
		    stderr);
		return 2;
	}
	struct tree t = { .fatal = o.fatal, .after = o.after, .error = o.error, .from = o.from };
	if (o.log != NULL && (t.log = fopen(o.log, "we")) == NULL)
		die(o.log);
	/* The alarm comes again each second: one that fell between the look and the wait would be lost. */
	const struct timespec first = { .tv_sec = (time_t)o.seconds }, again = { .tv_sec = 1 };
	timer_t timer;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	if (sigaction(SIGALRM, &alarmed, NULL) != 0)
		die("killer: sigaction");
	start(&t, o.command);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
	    timer_settime(timer, 0, &(struct itimerspec){ .it_value = first, .it_interval = again }, NULL) != 0)
		die("killer: timer");
	follow(&t);
	report(&t, o.report);
	if (t.log != NULL)
		(void)fclose(t.log);
	free(t.items);
	return 0;
}
