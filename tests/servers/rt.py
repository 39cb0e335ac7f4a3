"""A private Request Tracker 5 on loopback: own database (SQLite), configuration and mail program, a port given by the system.

    rt = RT(folder, queues={"Credentials": "rt@example.com"}, fields={"Case Key": "FreeformSingle"})
    rt.start()
    rt.url, rt.token                        for REST 2: rt.url + "/REST/2.0", "Authorization: token " + rt.token
    rt.post("ticket", {"Queue": ...})       (status, answer); also get, put; find("Queue='Credentials'") gives tickets
    rt.deliver(mail, "Credentials")         a mail comes in by rt-mailgate-5: its exit code and words
    rt.sent()                               each mail that RT wrote, as bytes
    rt.relay(port)                          from now on RT's mail goes out by SMTP, too
    rt.stop()

What RT 5.0.3 does that a client must know: an unknown custom field is dropped without a word (201), and so is a second value
of a field with unique values; a date without its time is 200 and not set; an unknown queue is 403; an id is a string in one
answer and a number in another."""
import base64
import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import outbox
import private

SHARE = "/usr/share/request-tracker5"
SERVER, SETUP, GATE = SHARE + "/libexec/rt-server", "/usr/sbin/rt-setup-database-5", "/usr/bin/rt-mailgate-5"
PASSWORD = "not-a-real-password"
CONFIG = """\
Set($rtname, %(name)s);
Set($Organization, %(name)s);
Set($WebDomain, '127.0.0.1');
Set($WebPort, %(port)d);
Set($WebBaseURL, 'http://127.0.0.1:%(port)d');
Set($WebPath, '');
Set($CanonicalizeRedirectURLs, 0);
Set($Timezone, 'UTC');
Set($DatabaseType, 'SQLite');
Set($DatabaseName, %(folder)s . '/rt.sqlite');
Set($CorrespondAddress, %(first)s);
Set($CommentAddress, %(first)s);
Set($OwnerEmail, %(owner)s);
Set($MailCommand, 'sendmailpipe');
Set($SendmailPath, %(folder)s . '/sent/sendmail');
Set($SendmailArguments, '-oi');
Set($SetOutgoingMailFrom, 1);
Set($LogToSyslog, undef);
Set($LogToSTDERR, 'warning');
Set($WebSessionClass, 'Apache::Session::File');
Set(%%GnuPG, Enable => 0);
Set(%%SMIME, Enable => 0);
%(more)s
$RT::VarPath = %(folder)s . '/var';
$RT::MasonDataDir = %(folder)s . '/var/mason';
$RT::MasonSessionDir = %(folder)s . '/var/session';
$RT::LocalPath = $RT::LocalLexiconPath = $RT::LocalStaticPath = $RT::LocalPluginPath = %(folder)s . '/none';
1;
"""
# Read by rt-setup-database; @Final runs last, as RT's own root user.
SEED = """\
@Users = ({ Name => 'mailhook', Password => %(password)s, EmailAddress => %(address)s, Privileged => 1 });
@Queues = (%(queues)s);
@CustomFields = (%(fields)s);
@ACL = (
  (map { { GroupDomain => 'SystemInternal', GroupType => 'Everyone', Right => $_ } }
    qw(CreateTicket ReplyToTicket CommentOnTicket SeeQueue)),
  (map { { UserId => 'mailhook', Right => $_ } }
    qw(SeeQueue ShowTicket ShowTicketComments CreateTicket ModifyTicket ReplyToTicket CommentOnTicket OwnTicket
       DeleteTicket WatchAsAdminCc Watch SeeCustomField ModifyCustomField ShowOutgoingEmail ManageAuthTokens)),
);
@Final = (sub {
  my $user = RT::User->new(RT->SystemUser);
  $user->Load('mailhook') or die 'no user';
  my $token = RT::AuthToken->new(RT::CurrentUser->new($user));
  my ($id, $words, $secret) = $token->Create(Owner => $user->Id, Description => 'tests');
  $id or die $words;
  open my $f, '>', %(token)s or die $!;
  print $f $secret;
  close $f or die $!;
});
1;
"""

def available():
    return all(os.path.exists(path) for path in (SERVER, SETUP, GATE))


def perl(value):
    """A string as Perl reads it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


class RT:
    def __init__(self, folder, queues=None, fields=None, name="example.com", user_address="mailhook@example.com", more=""):
        """queues: name: its address (of the first: RT's own). fields: custom fields of tickets in every queue, name: type of
        RT's (FreeformSingle, Date ...), or (type, [values to select]). name: stands in [name #1]. more: of RT_SiteConfig.pm."""
        self.folder, self.name, self.user_address, self.more = folder, name, user_address, more
        self.queues, self.fields = queues or {"Credentials": "rt@example.com"}, fields or {}
        self.first = next(iter(self.queues.values()))
        self.daemon, self.port, self.url, self.token, self.outbox = None, None, None, None, None
        self.user, self.password = "mailhook", PASSWORD
        self.log = os.path.join(folder, "rt.log")

    # -- life

    def _path(self, *names):
        return os.path.join(self.folder, *names)

    def _put(self, name, text):
        with open(self._path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def _configure(self):
        self.port = private.free_port()
        self.url = "http://127.0.0.1:%d" % self.port
        self._put("RT_SiteConfig.pm", CONFIG % {
            "name": perl(self.name), "port": self.port, "folder": perl(self.folder), "first": perl(self.first),
            "owner": perl("root@" + self.name), "more": self.more})

    def _seed(self):
        queues = ["{ Name => %s, CorrespondAddress => %s, CommentAddress => %s }" % (perl(n), perl(a), perl(a))
                  for n, a in self.queues.items()]
        names = "[" + ", ".join(perl(n) for n in self.queues) + "]"
        fields = []
        for n, t in self.fields.items():
            kind, values = (t, []) if isinstance(t, str) else t
            fields.append("{ Name => %s, Type => %s, LookupType => 'RT::Queue-RT::Ticket', Queue => %s, Values => [%s] }" % (
                perl(n), perl(kind), names, ", ".join("{ Name => %s }" % perl(v) for v in values)))
        self._put("seed.pl", SEED % {
            "password": perl(PASSWORD), "address": perl(self.user_address), "queues": ", ".join(queues),
            "fields": ", ".join(fields), "token": perl(self._path("token"))})
        self._setup("--action", "init", "--skip-create")
        self._setup("--action", "insert", "--datafile", self._path("seed.pl"))
        with open(self._path("token"), encoding="ascii") as f:
            self.token = f.read()

    def _kind(self):
        """How RT's programs are started: never as root, and with nothing of the machine's own RT."""
        who = {"user": private.MAIL_UID, "group": private.MAIL_GID, "extra_groups": []} if os.geteuid() == 0 else {}
        return {"env": {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": self.folder, "NO_PROXY": "127.0.0.1",
                        "RT_SITE_CONFIG": self._path("RT_SiteConfig.pm"), "RT_SITE_CONFIG_DIR": self._path("none")},
                "cwd": self.folder, **who}

    def _setup(self, *args):
        done = subprocess.run([SETUP, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=120, check=False, **self._kind())
        assert done.returncode == 0 and b"[error]" not in done.stdout, done.stdout.decode(errors="replace")

    def start(self):
        for name in ("", "none", "sent", "var", "var/mason", "var/session"):
            if os.geteuid() == 0:
                private.own(self._path(name), mode=0o755)
            else:
                os.makedirs(self._path(name), exist_ok=True)
        self.outbox = outbox.Outbox(self._path("sent"), "root@" + self.name)
        self._configure()
        self._seed()
        for left in (2, 1, 0):  # a port may be taken between asking for it and using it
            self.daemon = private.Daemon([SERVER, "--server", "Starlet", "--host", "127.0.0.1", "--port", str(self.port),
                                          "--max-workers", "2"], self.log, **self._kind())
            try:
                private.wait_until("RT's answer\n" + self.words(), self._ready, 60)
                return self
            except AssertionError:
                self.stop()
                if left == 0:
                    raise
                self._configure()
        return self

    def _ready(self):
        if self.daemon.process.poll() is not None:
            raise AssertionError("ended at once:\n" + self.words())
        return private.answers(self.port) and self.get("rt")[0] == 200

    def stop(self):
        if self.daemon is not None:
            self.daemon.stop()
            self.daemon = None

    def words(self):
        return self.daemon.words() if self.daemon is not None else ""

    # -- REST 2

    def _ask(self, method, path, body=None, token=None):
        head = {"Authorization": "token " + (token or self.token), "Accept": "application/json"}
        if body is not None:
            head["Content-Type"] = "application/json"
            body = json.dumps(body).encode()
        request = urllib.request.Request(self.url + "/REST/2.0/" + path, body, head, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as e:
            text = e.read()
            return e.code, json.loads(text) if text.startswith((b"{", b"[")) else text

    def get(self, path, token=None):
        return self._ask("GET", path, token=token)

    def post(self, path, body, token=None):
        return self._ask("POST", path, body, token)

    def put(self, path, body, token=None):
        return self._ask("PUT", path, body, token)

    def find(self, query="id > 0"):
        """The tickets that TicketSQL finds, each read whole, by number."""
        status, answer = self.get("tickets?per_page=100&orderby=id&query=" + urllib.parse.quote(query))
        assert status == 200, answer
        return [self.ticket(item["id"]) for item in answer["items"]]

    def ticket(self, number):
        status, answer = self.get("ticket/%s" % number)
        assert status == 200, answer
        return answer

    def field(self, ticket, name):
        """The first value of a ticket's custom field, None without one."""
        values = [f["values"] for f in ticket["CustomFields"] if f["name"] == name]
        return values[0][0] if values and values[0] else None

    def history(self, number):
        """[(type, text)] of a ticket's transactions, the oldest first; text of Create, Correspond and Comment, else ""."""
        status, answer = self.get("ticket/%s/history?per_page=100&fields=Type" % number)
        assert status == 200, answer
        rows = []
        for item in answer["items"]:
            rows.append((item["Type"], self._text(item["id"]) if item["Type"] in ("Create", "Correspond", "Comment") else ""))
        return rows

    def _text(self, transaction):
        status, whole = self.get("transaction/%s" % transaction)
        assert status == 200, whole
        text = ""
        for link in whole.get("_hyperlinks", []):
            if link["ref"] == "attachment":
                part = self.get("attachment/%s" % link["_url"].rsplit("/", 1)[-1])[1]
                if part.get("ContentType", "").startswith("text/"):
                    text += base64.b64decode(part.get("Content") or "").decode(errors="replace")
        return text

    # -- mail

    def gate(self, queue, action="correspond"):
        """The command that takes one mail on stdin."""
        return [GATE, "--queue", queue, "--action", action, "--url", self.url]

    def deliver(self, mail, queue, action="correspond"):
        """A mail comes in: (exit code, words). 0 is no promise that a ticket was made of it."""
        done = subprocess.run(self.gate(queue, action), input=mail, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=60, check=False, env=self._kind()["env"])
        return done.returncode, done.stdout.decode(errors="replace")

    def relay(self, port):
        """RT's mail goes to the SMTP server on this port, too."""
        self.outbox.relay(port)

    def sent(self):
        """Each mail that RT wrote; RT writes before it answers what made it write."""
        return self.outbox.sent()
