"""A private Redmine 5 on loopback: own database (SQLite), files and mail program, a port given by the system.

    rm = Redmine(folder, projects={"credentials": "Credentials"}, fields={"Case Key": "string"})
    rm.start()
    rm.url, rm.key                          for REST: "X-Redmine-API-Key: " + rm.key
    rm.ids["status"]["Closed"]              numbers by name, of: project (by identifier) tracker status priority field user
    rm.post("issues", {"issue": {...}})     (status, answer); also get, put; find(cf_1=...) gives issues, closed ones too
    rm.deliver(mail, "credentials")         a mail comes in by rdm-mailhandler: its exit code and words
    rm.sent(); rm.relay(port)               what Redmine mails, as bytes; and by SMTP, too
    rm.stop()

What Redmine 5.0.4 does that a client must know: a wrong key is 200 and an empty list at issues.json, 401 at a project's own;
a filter by an unknown custom field is no filter; an unknown custom field, or a status that the workflow forbids, is dropped
without a word (201, 204); a changed issue is answered by nothing at all, so it must be read again."""
import json
import os
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import outbox
import private

SHARE = "/usr/share/redmine"
HANDLER = SHARE + "/extra/mail_handler/rdm-mailhandler.rb"
BUNDLER = "/usr/share/rubygems-integration/all/specifications"
MAIL_KEY = "not-a-real-key-of-the-mail-handler"
# Redmine's own asks for the database's gem where /etc has a database: nothing of the machine's own Redmine is read here.
GEMFILE = """\
eval_gemfile '%s/Gemfile'
gem 'sqlite3', '~> 1.4.0'
gem 'webrick'
""" % SHARE
# The database is made by a process of its own: the one that serves must not know columns from before.
SERVER = """\
require '%(share)s/config/environment'
require 'rack/handler/webrick'
require 'json'
ActiveJob::Base.queue_adapter = :inline
ActionMailer::Base.perform_deliveries = true
ActionMailer::Base.raise_delivery_errors = true
ActionMailer::Base.delivery_method = :sendmail
ActionMailer::Base.sendmail_settings = { location: %(program)s, arguments: '-i -t' }
seed = JSON.parse(File.read('seed.json'))
unless File.exist?('ids.json')
  ActionMailer::Base.perform_deliveries = false
  Redmine::DefaultData::Loader.load('en')
  { rest_api_enabled: '1', mail_handler_api_enabled: '1', mail_handler_api_key: seed['mail_key'], mail_from: seed['address'],
    host_name: 'redmine.example.com', default_language: 'en' }.each { |name, value| Setting[name] = value }
  projects = seed['projects'].map do |identifier, name|
    Project.create!(identifier: identifier, name: name, is_public: false, trackers: Tracker.all,
                    enabled_module_names: ['issue_tracking'])
  end
  seed['fields'].each do |name, (format, values)|
    IssueCustomField.create!(name: name, field_format: format, possible_values: values || [], is_for_all: true,
                             is_filter: true, searchable: format == 'string', trackers: Tracker.all)
  end
  seed['users'].each do |login, user|
    u = User.new(firstname: login, lastname: 'example', mail: user['mail'], language: 'en', mail_notification: 'all')
    u.login = login
    u.password = u.password_confirmation = seed['password']
    u.save!
    projects.each { |p| Member.create!(project: p, principal: u, roles: [Role.find_by!(name: user['role'])]) }
  end
  all = { project: Project.pluck(:identifier, :id), tracker: Tracker.pluck(:name, :id), status: IssueStatus.pluck(:name, :id),
          priority: IssuePriority.pluck(:name, :id), field: IssueCustomField.pluck(:name, :id), user: User.pluck(:login, :id) }
  ids = all.transform_values(&:to_h).merge(keys: seed['users'].keys.to_h { |l| [l, User.find_by_login(l).api_key] })
  File.write('ids.json', ids.to_json)
  ActionMailer::Base.perform_deliveries = true
end
trap('TERM') { Rack::Handler::WEBrick.shutdown }
Rack::Handler::WEBrick.run(Rails.application, Host: '127.0.0.1', Port: Integer(ARGV[0]), AccessLog: [])
"""


def available():
    return all(os.path.exists(path) for path in (SHARE + "/config/application.rb", HANDLER, "/usr/bin/bundle"))


def bundler():
    """The version of Debian's Bundler: Ruby's own copy is newer now, and does not find Debian's gems."""
    found = [re.fullmatch(r"bundler-([0-9.]+)\.gemspec", name) for name in os.listdir(BUNDLER)]
    return next(m.group(1) for m in found if m)


class Redmine:
    def __init__(self, folder, projects=None, fields=None, users=None):
        """projects: identifier: name. fields: custom fields of issues, name: format (string, date, list ...), or
        (format, [values]). users: login: role (Manager, Developer, Reporter); the first is who self.key belongs to; each
        one's address is LOGIN@example.com."""
        self.folder = folder
        self.projects, self.fields = projects or {"credentials": "Credentials"}, fields or {}
        self.users = users or {"mailhook": "Manager"}
        self.user, self.password = next(iter(self.users)), "not-a-real-password"
        self.log = os.path.join(folder, "redmine.log")
        self.daemon, self.port, self.url, self.key, self.keys, self.ids, self.outbox = (None,) * 7

    # -- life

    def _path(self, *names):
        return os.path.join(self.folder, *names)

    def _put(self, name, text):
        with open(self._path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def _kind(self):
        """How Redmine's programs are started: never as root, and with nothing of the machine's own Redmine."""
        who = {"user": private.MAIL_UID, "group": private.MAIL_GID, "extra_groups": []} if os.geteuid() == 0 else {}
        return {"env": {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "HOME": self.folder, "RAILS_ENV": "production",
                        "BUNDLE_GEMFILE": self._path("Gemfile"), "BUNDLER_VERSION": bundler(),
                        "REDMINE_INSTANCE": os.path.relpath(self.folder, SHARE + "/instances/"),
                        "SCHEMA": self._path("schema.rb"), "NO_PROXY": "127.0.0.1"},
                "cwd": self.folder, **who}

    def _write(self):
        for name in ("", "config", "log", "files", "tmp", "public", "public/plugin_assets", "sent"):
            if os.geteuid() == 0:
                private.own(self._path(name), mode=0o755)
            else:
                os.makedirs(self._path(name), exist_ok=True)
        self.outbox = outbox.Outbox(self._path("sent"), "root@example.com")
        self._put("Gemfile", GEMFILE)
        self._put("config/database.yml", "production:\n  adapter: sqlite3\n  database: %s\n  timeout: 20000\n" % (
            json.dumps(self._path("redmine.sqlite"))))
        self._put("config/secret_key.txt", os.urandom(32).hex())
        self._put("server.rb", SERVER % {"share": SHARE, "program": json.dumps(self.outbox.program)})
        self._put("seed.json", json.dumps({
            "projects": self.projects, "password": self.password, "mail_key": MAIL_KEY, "address": "redmine@example.com",
            "fields": {n: [f, []] if isinstance(f, str) else list(f) for n, f in self.fields.items()},
            "users": {n: {"role": r, "mail": n + "@example.com"} for n, r in self.users.items()}}))

    def start(self):
        self._write()
        made = subprocess.run(["/usr/bin/rake", "-f", SHARE + "/Rakefile", "db:migrate"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=180, check=False, **self._kind())
        assert made.returncode == 0, made.stdout.decode(errors="replace")
        for left in (2, 1, 0):  # a port may be taken between asking for it and using it
            self.port = private.free_port()
            self.url = "http://127.0.0.1:%d" % self.port
            self.daemon = private.Daemon(["/usr/bin/ruby", self._path("server.rb"), str(self.port)], self.log, **self._kind())
            try:
                private.wait_until("Redmine's answer", self._ready, 120)
                break
            except AssertionError:
                self.stop()
                if left == 0:
                    raise
        with open(self._path("ids.json"), encoding="utf-8") as f:
            self.ids = json.load(f)
        self.keys = self.ids.pop("keys")
        self.key = self.keys[self.user]
        return self

    def _ready(self):
        if self.daemon.process.poll() is not None:
            raise AssertionError("ended at once:\n" + self.words())
        return private.answers(self.port)

    def stop(self):
        if self.daemon is not None:
            self.daemon.stop()
            self.daemon = None

    def words(self):
        return self.daemon.words() if self.daemon is not None else ""

    # -- REST

    def _ask(self, method, path, body=None, key=None):
        name, _, query = path.partition("?")
        head = {"X-Redmine-API-Key": key or self.key}
        if body is not None:
            head["Content-Type"] = "application/json"
            body = json.dumps(body).encode()
        request = urllib.request.Request("%s/%s.json%s" % (self.url, name, query and "?" + query), body, head, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as e:
            status, text = e.code, e.read()
        return status, json.loads(text) if text.startswith((b"{", b"[")) else text

    def get(self, path, key=None):
        """path: without .json."""
        return self._ask("GET", path, key=key)

    def post(self, path, body, key=None):
        return self._ask("POST", path, body, key)

    def put(self, path, body, key=None):
        return self._ask("PUT", path, body, key)

    def find(self, **filters):
        """The issues of all projects, by number, each with its notes (journals) and attachments."""
        filters = {"status_id": "*", "sort": "id", "limit": "100", **filters}
        status, answer = self.get("issues?" + urllib.parse.urlencode(filters))
        assert status == 200, answer
        return [self.issue(i["id"]) for i in answer["issues"]]

    def issue(self, number):
        status, answer = self.get("issues/%s?include=journals,attachments" % number)
        assert status == 200, answer
        return answer["issue"]

    def field(self, issue, name):
        """The value of an issue's custom field, None without one."""
        return next((f["value"] for f in issue["custom_fields"] if f["name"] == name), None)

    def notes(self, number):
        return [j["notes"] for j in self.issue(number)["journals"] if j["notes"]]

    # -- mail

    def handler(self, project, *more):
        """The command that takes one mail on stdin; who writes need not be known."""
        return ["/usr/bin/ruby", HANDLER, "--url", self.url, "--key", MAIL_KEY, "--project", project,
                "--unknown-user", "accept", "--no-permission-check", *more]

    def deliver(self, mail, project, *more):
        """A mail comes in: (exit code, words)."""
        done = subprocess.run(self.handler(project, *more), input=mail, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=60, check=False, env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"})
        return done.returncode, done.stdout.decode(errors="replace")

    def relay(self, port):
        """Redmine's mail goes to the SMTP server on this port, too."""
        self.outbox.relay(port)

    def sent(self):
        """Each mail that Redmine wrote; it writes before it answers what made it write."""
        return self.outbox.sent()
