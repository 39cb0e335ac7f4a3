#!/usr/bin/python3
"""A private PostgreSQL of Debian on loopback, in a folder of its own, on a port that the system gives. fsync is on.

    pg = Postgresql().start()         as root it runs as user postgres, else as we do; also: with Postgresql() as pg
    pg.url("name"), pg.fresh()        the URL of a database; of a new, empty one, which user mailhook owns
    pg.fresh(template="name")         a copy of that database, which nobody may have open
    pg.rows("SELECT ...", "name")     [(text or None, ...)] as the superuser; pg.run("CREATE ...", "name")
    pg.psql(...)                      the program, for what these do not do
    s = pg.session("name", schema)    one psql that stays: s.rows("SELECT ...") in a millisecond; s.close()
    gate = pg.gate()                  a proxy before it: cut, hold, free (gate.py); pg.url("name", port=gate.port)
    pg.stop(), pg.start()             in order ("fast"), and again on the same port
    pg.kill()                         the machine dies: every process at once, by its id
    pg.freeze(), pg.thaw()            SIGSTOP and SIGCONT for all of them: a machine that hangs
    other = pg.standby()              a second server that follows this one, by streaming; synchronous: a COMMIT is answered when
                                      it has it. pg.both("name", other) is the URL with both hosts
    other.promote()                   it is a primary now. The old one must be dead before: both would take writes
    pg.close()                        ends it with its standbys and gates, and removes the folder

Options: tls: the folder of pki.make(), then TLS is on with its leaf `server`, and only TLS comes in by TCP; client_certs: only a
client with a certificate by the CA there; password: asked for by TCP (scram-sha-256); settings: more of postgresql.conf.

MAILHOOK_TEST_POSTGRESQL_BIN: a folder with the initdb and postgres of another version, in place of Debian's.

As a program: postgresql.py COMMAND [ARG...] runs the command with MAILHOOK_TEST_POSTGRESQL, the URL of an empty database, and
ends as it does.
"""
import glob
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile

import private
from gate import Gate
from machine import descendants, signal_all

USER, SUPERUSER = "mailhook", "postgres"
SETTINGS = {
    "shared_buffers": "16MB", "max_connections": "120", "timezone": "UTC", "log_timezone": "UTC",
    "dynamic_shared_memory_type": "mmap",  # in the folder: nothing stays in /dev/shm after a kill
    "wal_level": "replica", "max_wal_senders": "6", "max_replication_slots": "4", "hot_standby": "on",
    "wal_keep_size": "64MB", "min_wal_size": "32MB", "max_wal_size": "256MB", "fsync": "on", "synchronous_commit": "on",
}
ROW, COLUMN, NULL, END = "\x1e", "\x1f", "\x1d", b"\x1c"
AS_ROWS = ("-F", COLUMN, "-R", ROW, "-P", "null=" + NULL)


def programs():
    """Debian's folder of the newest server's programs, None without one."""
    found = glob.glob("/usr/lib/postgresql/*/bin/postgres")
    return os.path.dirname(max(found, key=lambda p: float(p.split("/")[4]))) if found else None


def program(name):
    """Its path: Debian's, but a server's own may be another version's."""
    folder = os.environ.get("MAILHOOK_TEST_POSTGRESQL_BIN") if name in ("initdb", "postgres") else None
    return os.path.join(folder or programs(), name)


def available():
    return programs() is not None


def _who():
    """As whom it runs: a server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(SUPERUSER)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _read(out):
    out = out[:-1] if out.endswith("\n") else out
    return [tuple(None if c == NULL else c for c in row.split(COLUMN)) for row in out.split(ROW)] if out else []


class Session:
    """A psql that is asked one thing after the other; for one thread."""

    def __init__(self, pg, database, schema):
        self.process = subprocess.Popen(pg.psql_argv(*AS_ROWS, database=database), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=pg._env())
        if schema is not None:
            self.rows("SET search_path = %s" % schema)

    def rows(self, sql):
        try:
            self.process.stdin.write(sql.encode() + b";\nSELECT '" + END + b"';\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        out, end = b"", END + b"\n"
        while not out.endswith(end):
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise AssertionError("psql: %s" % self.process.stderr.read().decode(errors="replace"))
            out += data
        return _read(out[:-len(end)].decode())

    def typed(self, sql):
        """The same, numbers as numbers."""
        rows = self.rows("SELECT row_to_json(t) FROM (%s) t" % sql)
        return [tuple(v for _, v in json.loads(text, object_pairs_hook=list)) for (text,) in rows]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()
        self.process.wait()


class Postgresql:
    def __init__(self, tls=None, client_certs=False, password=None, settings=None):
        self.tls, self.client_certs, self.password = tls, client_certs, password
        self.settings = {**SETTINGS, **(settings or {})}
        self.who = _who()
        self.folder = tempfile.mkdtemp(prefix="mailhook-pg.")
        self.data, self.log = os.path.join(self.folder, "data"), os.path.join(self.folder, "log")
        if self.who:
            os.chown(self.folder, self.who["user"], self.who["group"])
        os.chmod(self.folder, 0o755)  # the socket is in it
        self.daemon, self.port, self.primary, self.count = None, None, None, 0
        self.gates, self.standbys = [], []

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    # -- life

    def _do(self, name, *args, **more):
        """One of the server's programs, as its user."""
        done = subprocess.run([program(name), *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=self._env(), cwd=self.folder, timeout=120, check=False, **{**self.who, **more})
        if done.returncode != 0:
            raise AssertionError("%s: %d\n%s" % (name, done.returncode, done.stdout.decode(errors="replace")))
        return done.stdout

    def _env(self):
        return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "HOME": self.folder, "TZ": "UTC"}

    def _put(self, name, text, mode=0o600):
        path = os.path.join(self.data, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        if self.who:
            os.chown(path, self.who["user"], self.who["group"])
        return path

    def _make(self):
        self._do("initdb", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=trust", "--wal-segsize=4",
                 "--username=" + SUPERUSER, "--pgdata=" + self.data)
        if self.tls:
            for name in ("ca.pem", "server.pem", "server.key"):
                with open(os.path.join(self.tls, name), encoding="ascii") as f:
                    self._put(name, f.read())
            self.settings.update(ssl="on", ssl_ca_file="ca.pem", ssl_cert_file="server.pem", ssl_key_file="server.key")
        self.let_in()

    def let_in(self, lines=None):
        """Who may connect, as lines of pg_hba.conf for TCP; without them what the options say. Told to a server that runs."""
        if lines is None:
            lines = ["%s all all %s %s%s" % ("hostssl" if self.tls else "host", net, "scram-sha-256" if self.password else "trust",
                                             " clientcert=verify-ca" if self.client_certs else "")
                     for net in ("0.0.0.0/0", "::/0")]
        self._put("pg_hba.conf", "local all all trust\nlocal replication all trust\n" + "".join(x + "\n" for x in lines))
        if self.runs():
            self.daemon.process.send_signal(signal.SIGHUP)

    def _configure(self):
        listen = self.settings.get("listen_addresses", "127.0.0.1")
        own = {"port": self.port, "listen_addresses": listen, "unix_socket_directories": self.folder}
        self._put("postgresql.conf", "".join("%s = '%s'\n" % item for item in {**self.settings, **own}.items()))

    def start(self):
        """Makes it where it is not there yet, starts it, and returns when it answers."""
        first = self.port is None
        if not os.path.exists(os.path.join(self.data, "PG_VERSION")):
            self._make()
        for left in (2, 1, 0):  # a port may be taken between asking for it and using it
            if self.port is None:
                self.port = private.free_port()
            self._configure()
            self.daemon = private.Daemon([program("postgres"), "-D", self.data], self.log, end="INT",
                                         env=self._env(), cwd=self.folder, **self.who)
            try:
                private.wait_until("the database's answer", self._ready, 60)
                break
            except AssertionError as e:
                words = self.words()
                self.stop()
                if left == 0 or not first:
                    raise AssertionError("%s\n%s" % (e, words)) from e
                self.port = None
        if first and self.primary is None:
            self.run("CREATE ROLE %s LOGIN%s" % (USER, " PASSWORD '%s'" % self.password if self.password else ""))
        return self

    def _ready(self):
        if not self.runs():
            raise AssertionError("ended at once")
        return subprocess.run([program("pg_isready"), "-q", "-h", self.folder, "-p", str(self.port)],
                              env=self._env(), check=False).returncode == 0

    def runs(self):
        return self.daemon is not None and self.daemon.process.poll() is None

    def words(self):
        return self.daemon.words() if self.daemon is not None else ""

    def stop(self):
        """In order: sessions are ended, all is written."""
        if self.daemon is not None:
            self.thaw()
            self.daemon.stop()
            self.daemon = None

    def _pids(self):
        return [self.daemon.process.pid] + descendants(self.daemon.process.pid) if self.runs() else []

    def freeze(self):
        """The postmaster first: it makes no more of them."""
        signal_all(self._pids()[:1], signal.SIGSTOP)
        signal_all(self._pids(), signal.SIGSTOP)

    def thaw(self):
        signal_all(reversed(self._pids()), signal.SIGCONT)

    def kill(self):
        """As a machine dies: all of it, nothing written any more. start() recovers it."""
        if not self.runs():
            self.stop()
            return
        self.freeze()
        pids = self._pids()
        signal_all(pids, signal.SIGKILL)
        self.daemon.process.wait()
        self.daemon = None
        private.wait_until("the end of the killed", lambda: not any(self._is_ours(p) for p in pids))
        self._drop_segment()

    def _is_ours(self, pid):
        try:
            return os.readlink("/proc/%d/cwd" % pid).startswith(self.folder)
        except OSError:
            return False

    def _drop_segment(self):
        """A killed server leaves a System V segment, named in its lock file: the next start would remove it."""
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="ascii") as f:
                segment = f.read().splitlines()[6].split()[1]
        except (OSError, IndexError):
            return
        subprocess.run(["ipcrm", "-m", segment], check=False, stderr=subprocess.DEVNULL)

    def close(self):
        for part in self.gates + self.standbys:
            part.close()
        self.gates, self.standbys = [], []
        self.kill()  # nobody needs what it would write now
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- databases

    def url(self, name="postgres", port=None, host=None, user=USER, more=""):
        """more: parameters, as "sslmode=verify-full&sslrootcert=..."."""
        host = host or ("localhost" if self.tls else "127.0.0.1")
        return "postgresql://%s@%s:%d/%s%s" % (user, host, port or self.port, name, "?" + more if more else "")

    def both(self, name, other, port=None, other_port=None, more=""):
        """The URL of a database on this one and on its standby: whichever of the two takes writes."""
        host = "localhost" if self.tls else "127.0.0.1"
        return "postgresql://%s@%s:%d,%s:%d/%s?target_session_attrs=read-write%s" % (
            USER, host, port or self.port, host, other_port or other.port, name, "&" + more if more else "")

    def fresh_name(self, template=None):
        self.count += 1
        name = "t%d" % self.count
        self.run("CREATE DATABASE %s OWNER %s%s" % (name, USER, " TEMPLATE %s" % template if template else ""))
        return name

    def fresh(self, template=None):
        return self.url(self.fresh_name(template))

    def psql_argv(self, *args, database="postgres"):
        return [program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p", str(self.port),
                "-U", SUPERUSER, "-d", database, *args]

    def psql(self, *args, database="postgres", stdin=None, check=True):
        done = subprocess.run(self.psql_argv(*args, database=database), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=self._env(), timeout=120, check=False)
        if check and done.returncode != 0:
            raise AssertionError("psql: %s" % done.stderr.decode(errors="replace"))
        return done

    def pg_dump(self, *args, database="postgres"):
        return self._do("pg_dump", "-h", self.folder, "-p", str(self.port), "-U", SUPERUSER, "-d", database, *args)

    def run(self, sql, database="postgres"):
        self.psql("-c", sql, database=database)

    def rows(self, sql, database="postgres"):
        return _read(self.psql(*AS_ROWS, "-c", sql, database=database).stdout.decode())

    def session(self, database="postgres", schema=None):
        return Session(self, database, schema)

    # -- what stands around it

    def gate(self, listen=0):
        self.gates.append(Gate(self.port, listen))
        return self.gates[-1]

    def standby(self, synchronous=True):
        other = Postgresql(self.tls, self.client_certs, self.password, self.settings)
        other.primary = self
        name = "s%d" % (len(self.standbys) + 1)
        self.standbys.append(other)
        self._do("pg_basebackup", "-h", self.folder, "-p", str(self.port), "-U", SUPERUSER, "-D", other.data, "-X", "stream",
                 "-c", "fast", "--no-sync")
        other._put("standby.signal", "")
        other.settings.update(primary_conninfo="host=%s port=%d user=%s application_name=%s" % (self.folder, self.port, SUPERUSER, name))
        other.start()
        self._wait_streams(name, "async")
        if synchronous:
            self.run("ALTER SYSTEM SET synchronous_standby_names = '%s'" % name)
            self.run("SELECT pg_reload_conf()")
            self._wait_streams(name, "sync")
        return other

    def _wait_streams(self, name, state):
        sql = "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = '%s' AND application_name = '%s'"
        private.wait_until("a standby that streams", lambda: self.rows(sql % (state, name)), 60)

    def promote(self):
        """Returns when it takes writes."""
        self.rows("SELECT pg_promote(true, 60)")
        private.wait_until("a promoted standby", lambda: self.rows("SELECT pg_is_in_recovery()") == [("f",)], 60)


def main():
    with Postgresql() as pg:
        env = {**os.environ, "MAILHOOK_TEST_POSTGRESQL": pg.fresh()}
        return subprocess.run(sys.argv[1:], env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
