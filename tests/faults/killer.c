/* killer.c: runs a command and kills it, with all that it started, at its N-th call that changes something.
 *
 *   killer [--after] [--seconds S] [--log FILE] --report FILE N COMMAND [ARG...]
 *
 * Counted are the calls that write, make, rename, link, remove, resize or sync, over all processes of the tree in the
 * order in which they enter. The N-th brings SIGKILL to every process of the tree: at its entry, so that it does not
 * happen, or with --after when it has happened. The report is one line:
 *   killed N CALL            the N-th was reached
 *   ended STATUS COUNT       it was not: the command's exit status (128 + signal) and how many calls there were
 *   late COUNT               the tree still ran after S seconds (default 60) and was killed
 * N = 0 kills never. Processes that outlive the command (a detached worker) are waited for as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SYSCALL_STOP (SIGTRAP | 0x80) /* PTRACE_O_TRACESYSGOOD */

struct process {
	pid_t pid;
	bool doomed; /* at the exit of the call that it is in, the tree is killed */
};

struct tree {
	struct process *items; /* own */
	size_t n, cap;
	pid_t root;
	int root_status; /* as waitpid gave it */
	bool started;    /* the command's exec was seen: from here calls are counted */
	unsigned long count, fatal;
	bool after, killed, late;
	const char *fatal_name;
	FILE *log;
};

struct options {
	bool after;
	unsigned long seconds, fatal;
	const char *report, *log;
	char **command;
};

/* -- which calls count -------------------------------------------------------------------------------------------- */

#define OPEN_FLAGS_NONE (-1)

static const struct call {
	long nr;
	const char *name;
	int flags_at; /* the argument with open's flags: counted only where it may make or empty a file */
} calls[] = {
	{ SYS_openat, "openat", 2 },
	{ SYS_write, "write", OPEN_FLAGS_NONE },
	{ SYS_pwrite64, "pwrite64", OPEN_FLAGS_NONE },
	{ SYS_writev, "writev", OPEN_FLAGS_NONE },
	{ SYS_pwritev, "pwritev", OPEN_FLAGS_NONE },
	{ SYS_pwritev2, "pwritev2", OPEN_FLAGS_NONE },
	{ SYS_sendto, "sendto", OPEN_FLAGS_NONE },
	{ SYS_sendmsg, "sendmsg", OPEN_FLAGS_NONE },
	{ SYS_sendfile, "sendfile", OPEN_FLAGS_NONE },
	{ SYS_copy_file_range, "copy_file_range", OPEN_FLAGS_NONE },
	{ SYS_ftruncate, "ftruncate", OPEN_FLAGS_NONE },
	{ SYS_truncate, "truncate", OPEN_FLAGS_NONE },
	{ SYS_fallocate, "fallocate", OPEN_FLAGS_NONE },
	{ SYS_fsync, "fsync", OPEN_FLAGS_NONE },
	{ SYS_fdatasync, "fdatasync", OPEN_FLAGS_NONE },
	{ SYS_renameat, "renameat", OPEN_FLAGS_NONE },
	{ SYS_renameat2, "renameat2", OPEN_FLAGS_NONE },
	{ SYS_linkat, "linkat", OPEN_FLAGS_NONE },
	{ SYS_symlinkat, "symlinkat", OPEN_FLAGS_NONE },
	{ SYS_unlinkat, "unlinkat", OPEN_FLAGS_NONE },
	{ SYS_mkdirat, "mkdirat", OPEN_FLAGS_NONE },
	{ SYS_fchmod, "fchmod", OPEN_FLAGS_NONE },
	{ SYS_fchmodat, "fchmodat", OPEN_FLAGS_NONE },
	{ SYS_fchown, "fchown", OPEN_FLAGS_NONE },
	{ SYS_utimensat, "utimensat", OPEN_FLAGS_NONE },
#ifdef SYS_open /* newer architectures have only the ...at calls */
	{ SYS_open, "open", 1 },
	{ SYS_creat, "creat", OPEN_FLAGS_NONE },
	{ SYS_rename, "rename", OPEN_FLAGS_NONE },
	{ SYS_link, "link", OPEN_FLAGS_NONE },
	{ SYS_symlink, "symlink", OPEN_FLAGS_NONE },
	{ SYS_unlink, "unlink", OPEN_FLAGS_NONE },
	{ SYS_mkdir, "mkdir", OPEN_FLAGS_NONE },
	{ SYS_rmdir, "rmdir", OPEN_FLAGS_NONE },
	{ SYS_chmod, "chmod", OPEN_FLAGS_NONE },
#endif
};

/* The call's name where it counts, else NULL. */
static const char *
counted(const struct __ptrace_syscall_info *info)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if ((long)info->entry.nr != calls[i].nr)
			continue;
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
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	const char *name = counted(&info);
	if (name == NULL)
		return;
	t->count++;
	if (t->log != NULL)
		(void)fprintf(t->log, "%lu %d %s\n", t->count, (int)p->pid, name);
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

static bool
arguments(int argc, char **argv, struct options *o)
{
	int i = 1;

	*o = (struct options){ .seconds = 60 };
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--after") == 0)
			o->after = true;
		else if (strcmp(argv[i], "--report") == 0 && i + 1 < argc)
			o->report = argv[++i];
		else if (strcmp(argv[i], "--log") == 0 && i + 1 < argc)
			o->log = argv[++i];
		else if (strcmp(argv[i], "--seconds") != 0 || i + 1 >= argc || !number(argv[++i], &o->seconds))
			return false;
	}
	if (o->report == NULL || i + 1 >= argc || !number(argv[i], &o->fatal))
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
		(void)fputs(
		    "usage: killer [--after] [--seconds S] [--log FILE] --report FILE N COMMAND [ARG...]\n", stderr);
		return 2;
	}
	struct tree t = { .fatal = o.fatal, .after = o.after };
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
