"""A Debian that has the essential packages and those that are asked for, with all that they depend on, and nothing else:
copied from this machine's packages, for no test may need the internet. Programs run in it by chroot, in the mount
namespace that enter() makes."""
import os
import re
import shutil
import stat
import subprocess
import sys

INSIDE = "MAILHOOK_TEST_NAMESPACE"


def enter():
    """Starts this script anew where mounts are our own. Ends it with 77 where that is impossible."""
    if os.environ.get(INSIDE):
        return
    if os.geteuid() != 0:
        print("skipped: a clean root needs root")
        sys.exit(77)
    probe = subprocess.run(["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt"],
                           capture_output=True, check=False)
    if probe.returncode != 0:
        print("skipped: nothing can be mounted here: %s" % probe.stderr.decode().strip())
        sys.exit(77)
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])


class Packages:
    """What is installed on this machine."""

    def __init__(self):
        form = "${binary:Package}\t${Package}\t${db:Status-Status}\t${Essential}\t${Pre-Depends}, ${Depends}\t${Provides}\n"
        out = subprocess.run(["dpkg-query", "-W", "-f", form], capture_output=True, text=True, check=True).stdout
        self.needs, self.full, self.provided, self.essential = {}, {}, {}, set()
        for line in out.splitlines():
            full, name, state, essential, needs, provides = line.split("\t")
            if state not in ("installed", "triggers-pending", "triggers-awaited"):  # something is being installed just now
                continue
            self.full[name], self.needs[name] = full, needs
            if essential == "yes":
                self.essential.add(name)
            for virtual in names(provides):
                self.provided.setdefault(virtual[0], name)

    def closure(self, wanted):
        found, left = set(), [[name] for name in sorted(self.essential)] + wanted
        while left:
            choices = left.pop()
            name = next((n for n in choices if n in self.full), None) or next(
                (self.provided[n] for n in choices if n in self.provided), None)
            if name is None:
                raise AssertionError("none of %s is installed here" % choices)
            if name not in found:
                found.add(name)
                left += names(self.needs[name])
        return found


def names(field):
    """[[name, the alternative, ...], ...] of a Depends field."""
    groups = [[re.sub(r"[\s(:].*", "", choice.strip()) for choice in group.split("|")] for group in field.split(",")]
    return [[n for n in group if n] for group in groups if any(group)]


class Root:
    def __init__(self, path, depends):
        """depends: a Depends field, as a package has it."""
        self.path = path
        packages = Packages()
        self.packages = packages.closure(names(depends))
        full = [packages.full[name] for name in sorted(self.packages)]
        listed = subprocess.run(["dpkg-query", "-L", *full], capture_output=True, text=True, check=True).stdout
        for line in sorted(set(listed.splitlines())):
            if line.startswith("/") and line != "/.":
                self.copy(line)
        self.database(full)
        for name in ("passwd", "group"):
            shutil.copy("/usr/share/base-passwd/%s.master" % name, self.at("/etc/" + name))
        for folder, mode in (("/dev", 0o755), ("/proc", 0o755), ("/tmp", 0o1777), ("/run", 0o755), ("/var/lib", 0o755)):
            os.makedirs(self.at(folder), exist_ok=True)
            os.chmod(self.at(folder), mode)
        for name, number in (("null", (1, 3)), ("zero", (1, 5)), ("urandom", (1, 9))):
            os.mknod(self.at("/dev/" + name), stat.S_IFCHR | 0o666, os.makedev(*number))
            os.chmod(self.at("/dev/" + name), 0o666)
        subprocess.run(["mount", "-t", "proc", "proc", self.at("/proc")], check=True)
        for kind in ("account", "auth", "password", "session"):  # pam-auth-update's
            with open(self.at("/etc/pam.d/common-" + kind), "w", encoding="utf-8") as f:
                f.write("%s required pam_permit.so\n" % kind)
        for program in ("ldconfig", "pwconv", "grpconv"):
            self.run(program)

    def at(self, path):
        return self.path + path

    def copy(self, path):
        parent = os.path.realpath(os.path.dirname(path))  # /bin is a link to /usr/bin
        source, target = path, self.at(os.path.join(parent, os.path.basename(path)))
        if not os.path.lexists(source) or os.path.lexists(target):
            return
        if not os.path.isdir(os.path.dirname(target)):
            self.copy(parent)
        about = os.lstat(source)
        if stat.S_ISLNK(about.st_mode):
            os.symlink(os.readlink(source), target)
            return
        if stat.S_ISDIR(about.st_mode):
            os.mkdir(target)
        elif stat.S_ISREG(about.st_mode):
            shutil.copyfile(source, target)
        os.chown(target, about.st_uid, about.st_gid)
        os.chmod(target, stat.S_IMODE(about.st_mode))

    def database(self, full):
        info = self.at("/var/lib/dpkg/info")
        for folder in ("info", "updates", "triggers", "parts"):
            os.makedirs(self.at("/var/lib/dpkg/" + folder), exist_ok=True)
        for name in full:
            for kind in ("list", "md5sums", "conffiles", "triggers"):
                source = "/var/lib/dpkg/info/%s.%s" % (name, kind)
                if os.path.exists(source):
                    shutil.copy(source, info)
        with open("/var/lib/dpkg/status", encoding="utf-8") as f:
            stanzas = [s for s in f.read().split("\n\n") if s.startswith("Package: ") and
                       s.split("\n", 1)[0].split()[1] in self.packages]
        stanzas = [re.sub(r"^Status: .*\n", "Status: install ok installed\n", re.sub(r"^Triggers-.*\n", "", s, flags=re.M),
                          flags=re.M) for s in stanzas]
        with open(self.at("/var/lib/dpkg/status"), "w", encoding="utf-8") as f:
            f.write("\n\n".join(stanzas) + "\n\n")
        with open(info + "/format", "w", encoding="utf-8") as f:
            f.write("1\n")

    def run(self, *argv, uid=0, gid=None, stdin=b"", check=True):
        """By number, or by name for a user of this root; stdin: bytes."""
        who = []
        if uid != 0:
            who = ["setpriv", "--reuid", str(uid), "--regid", str(gid or uid), "--clear-groups"]
        done = subprocess.run(["chroot", self.path, *who, *argv], input=stdin, capture_output=True, timeout=60, check=False,
                              cwd="/", env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"})
        if check and done.returncode != 0:
            raise AssertionError("%s: %s" % (argv, done))
        return done

    def files(self):
        """Every path of this file system, but for what the system keeps for itself."""
        found = set()
        for folder, folders, files in os.walk(self.path):
            here = folder[len(self.path):]
            if here == "":
                folders[:] = [f for f in folders if f not in ("proc", "dev", "run", "tmp")]
            if here == "/var/lib":
                folders[:] = [f for f in folders if f != "dpkg"]
            if here == "/var":
                folders[:] = [f for f in folders if f not in ("log", "cache")]
            found.update("%s/%s" % (here, name) for name in folders + files)
        return found
