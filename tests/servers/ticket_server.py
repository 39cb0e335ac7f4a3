"""Stand-ins for ticket systems that cannot run here: Jira, ServiceNow, GitHub, GitLab, PagerDuty. No vendor was asked.

Each keeps state and has the manners that cost others days: a search index that lags, a filter part that is ignored, a
wrong credential that looks like an empty list, 403 for "slow down", fields dropped with 201, transitions in conflict.

`faults` is a list of (METHOD, part of the path, fault); the first that fits a request is used up by it:
    "drop"   the connection ends, and nothing was done          "lost"   it was done, and the connection ends
    "stall"  no answer, until the other side has had enough     "echo"   refused with the credential in the words
    (status, body, headers)   answered so, and nothing was done
`now` is what the clock says: tests set it, as they set an action's.
"""
import base64
import http.server
import json
import re
import threading
import urllib.parse

import token_server

SECRET = "s3cret-" + "0123456789abcdef"


class Refusal(Exception):
    def __init__(self, status, body, headers=None):
        super().__init__(str(body))
        self.status, self.body, self.headers = status, body, headers or {}


class Request:
    def __init__(self, h):
        self.method, url = h.command, urllib.parse.urlsplit(h.path)
        self.path, self.parts = url.path, [urllib.parse.unquote(p) for p in url.path.split("/")[1:]]
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        self.headers = h.headers
        self.body = h.rfile.read(int(h.headers.get("Content-Length") or 0))

    def json(self):
        if self.headers.get("Content-Type") != "application/json":
            raise Refusal(415, {"message": "Unsupported Media Type"})
        try:
            return json.loads(self.body)
        except ValueError as e:
            raise Refusal(400, {"message": "not JSON: %s" % e}) from e


class Server:
    """What all have in common: the port, the lock, the faults."""
    lag_s = 0

    def __init__(self):
        self.lock = threading.Lock()
        self.now, self.faults, self.requests, self.anonymous = 0, [], [], False
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                server.handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *args):
                pass

        self.httpd = token_server.Quiet(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.url = "http://localhost:%d" % self.httpd.server_port
        threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.httpd.shutdown()
        self.httpd.server_close()

    def fault(self, r, target):
        for i, (method, part, what) in enumerate(self.faults):
            if method in ("*", r.method) and part in target:
                del self.faults[i]
                return what
        return None

    def handle(self, h):
        r = Request(h)
        with self.lock:
            self.requests.append((r.method, h.path, r.body))
            fault = self.fault(r, h.path)
            if fault == "stall":
                h.connection.settimeout(20)
                try:
                    h.connection.recv(1)
                except OSError:
                    pass
            if fault in ("stall", "drop"):
                h.close_connection = True
                return
            if fault == "echo":
                words = "not " + (r.headers.get("Authorization") or r.headers.get("PRIVATE-TOKEN") or "known")
                fault = (400, {"message": words, "error": {"message": words}, "errorMessages": [words]}, {})
            if isinstance(fault, tuple):
                status, body, headers = fault
            else:
                try:
                    status, body, headers = self.answer(r)
                except Refusal as e:
                    status, body, headers = e.status, e.body, e.headers
            if fault == "lost":
                h.close_connection = True
                return
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        h.send_response(status)
        for k, v in headers.items():
            h.send_header(k, v)
        if body is not None and not isinstance(body, bytes):
            h.send_header("Content-Type", "application/json")
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data)

    def visible(self, item):
        """Whether an index knows of it by now."""
        return self.now >= item["made"] + self.lag_s

    def basic(self, r, user):
        kind, _, text = r.headers.get("Authorization", "").partition(" ")
        return kind == "Basic" and base64.b64decode(text).decode() == "%s:%s" % (user, SECRET)


# -- Jira ---------------------------------------------------------------------------------------------------------------

NODES = {"doc", "paragraph", "text", "hardBreak", "bulletList", "orderedList", "listItem"}


def adf_text(node):
    """The text of a document, which must have no node or mark that a text could not have by itself."""
    if node["type"] not in NODES or set(node) - {"type", "content", "text", "version", "marks"}:
        raise Refusal(400, {"errorMessages": ["INVALID_INPUT: %s" % node["type"]]})
    if node["type"] == "text" and (not node.get("text") or "content" in node):
        raise Refusal(400, {"errorMessages": ["INVALID_INPUT: an empty text"]})
    text = node.get("text", "") + "".join(adf_text(n) for n in node.get("content", []))
    return text + ("\n" if node["type"] in ("paragraph", "hardBreak") else "")


class Jira(Server):
    lag_s = 20

    def __init__(self, cloud=True):
        self.cloud = cloud
        self.api = ["rest", "api", "3" if cloud else "2"]
        self.issues, self.number = {}, 0
        self.screen = {"project", "issuetype", "summary", "description", "labels", "priority", "duedate", "assignee",
                       "components", "customfield_10050", "customfield_10051"}
        self.priorities = ["Highest", "High", "Medium", "Low", "Lowest"]
        self.transitions = {"To Do": [("11", "Start", "In Progress"), ("31", "Finish", "Done")],
                            "In Progress": [("41", "Finish it", "Done")], "Done": [("51", "Again", "To Do")]}
        self.categories = {"To Do": "new", "In Progress": "indeterminate", "Done": "done"}
        self.denied = set()
        super().__init__()

    def logged_in(self, r):
        return self.basic(r, "bot@example.com") if self.cloud else r.headers.get("Authorization") == "Bearer " + SECRET

    def answer(self, r):
        if r.parts[:3] != self.api:
            raise Refusal(404, {"message": "null for uri"})
        path, failed = r.parts[3:], {}
        if not self.logged_in(r):
            if not self.anonymous:
                raise Refusal(401, {"message": "Client must be authenticated to access this resource."})
            failed = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
            if path[0] == "search":
                return 200, {"issues": [], "isLast": True}, failed
        status, body = self.route(r, path)
        return status, body, failed

    def route(self, r, path):
        key = (r.method, path[0], len(path))
        if key == ("GET", "myself", 1):
            return 200, {"displayName": "mailhook bot"}
        if key == ("GET", "mypermissions", 1):
            names = r.query["permissions"].split(",")
            return 200, {"permissions": {n: {"havePermission": n not in self.denied} for n in names}}
        if key == ("GET", "project", 2):
            if path[1] != "OPS":
                raise Refusal(404, {"errorMessages": ["No project could be found with key '%s'." % path[1]], "errors": {}})
            return 200, {"key": "OPS", "issueTypes": [{"id": "10001", "name": "Task"}, {"id": "10002", "name": "Bug"}]}
        if key == ("GET", "project", 3) and path[2] == "statuses":
            return 200, [{"name": "Task", "statuses": [{"name": n} for n in self.categories]}]
        if key == ("GET", "priority", 1):
            return 200, [{"id": str(i), "name": n} for i, n in enumerate(self.priorities)]
        if key == ("GET", "field", 1):
            return 200, [{"id": "summary", "name": "Summary", "schema": {"type": "string"}},
                         {"id": "duedate", "name": "Due date", "schema": {"type": "date"}},
                         {"id": "priority", "name": "Priority", "schema": {"type": "priority"}},
                         {"id": "customfield_10050", "name": "AWS Account", "schema": {"type": "string"}},
                         {"id": "customfield_10051", "name": "Notes", "schema": {
                             "type": "string", "custom": "com.atlassian.jira.plugin.system.customfieldtypes:textarea"}},
                         {"id": "customfield_10052", "name": "Elsewhere", "schema": {"type": "string"}}]
        if r.method == "GET" and path[:2] == ["issue", "createmeta"]:
            names = {"customfield_10050": "AWS Account", "customfield_10051": "Notes"}
            fields = [{"fieldId": f, "name": names.get(f, f)} for f in sorted(self.screen)]
            return 200, {"fields" if self.cloud else "values": fields}
        if r.method == "POST" and path == (["search", "jql"] if self.cloud else ["search"]):
            return self.search(r.json())
        if path == ["search"]:
            raise Refusal(410, {"errorMessages": ["The requested API has been removed."]})
        if key == ("POST", "issue", 1):
            return self.create(r.json())
        if path[0] == "issue" and len(path) > 1:
            return self.one(r, path)
        raise Refusal(404, {"message": "null for uri"})

    def search(self, body):
        allowed = {"jql", "fields", "maxResults"} | ({"nextPageToken"} if self.cloud else {"startAt"})
        if set(body) - allowed:
            raise Refusal(400, {"errorMessages": ["Invalid request payload. Refer to the REST API documentation."]})
        m = re.fullmatch(r'project = "((?:[^"\\]|\\.)*)" AND labels = "([a-z0-9-]+)" ORDER BY created ASC', body["jql"])
        newest = re.fullmatch(r'project = "OPS" AND issuetype = "Task" AND statusCategory != Done ORDER BY created DESC',
                              body["jql"])
        if m and m.group(1) != "OPS":
            raise Refusal(400, {"errorMessages": ["The value '%s' does not exist for the field 'project'." % m.group(1)]})
        if not m and not newest:
            raise Refusal(400, {"errorMessages": ["Error in the JQL Query"]})
        found = [i for i in self.issues.values() if self.visible(i) and
                 (self.open(i) if newest else m.group(2) in i["fields"]["labels"])]
        found = found[::-1] if newest else found
        return 200, {"issues": [{"id": i["id"], "key": i["key"], "fields": {
            "labels": i["fields"]["labels"], "status": self.status(i)}} for i in found[:body["maxResults"]]]}

    def open(self, issue):
        return self.categories[issue["status"]] != "done"

    def status(self, issue):
        return {"name": issue["status"], "statusCategory": {"key": self.categories[issue["status"]]}}

    def check_fields(self, fields):
        errors = {f: "Field '%s' cannot be set. It is not on the appropriate screen, or unknown." % f
                  for f in fields if f not in self.screen}
        if "priority" in fields and fields["priority"]["name"] not in self.priorities:
            errors["priority"] = "Specify the Priority (name) in the string format"
        for text in ("description", "customfield_10051"):
            if text in fields and self.cloud != isinstance(fields[text], dict):
                errors[text] = "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
            elif text in fields and self.cloud:
                adf_text(fields[text])
        if any(" " in label for label in fields.get("labels", [])):
            errors["labels"] = "The label '...' contains spaces which is invalid."
        if len(fields.get("summary", "x")) > 255 or "\n" in fields.get("summary", "x"):
            errors["summary"] = "Summary must be one line of at most 255 characters."
        if errors:
            raise Refusal(400, {"errorMessages": [], "errors": errors})

    def create(self, body):
        fields = body["fields"]
        if fields["project"]["key"] != "OPS":
            raise Refusal(400, {"errorMessages": [], "errors": {"project": "valid project is required"}})
        self.check_fields(fields)
        self.number += 1
        key = "OPS-%d" % self.number
        self.issues[key] = {"id": str(10000 + self.number), "key": key, "fields": fields, "status": "To Do", "comments": [],
                            "made": self.now, "files": [],
                            "properties": {p["key"]: p["value"] for p in body.get("properties", [])}}
        return 201, {"id": self.issues[key]["id"], "key": key, "self": self.url}

    def one(self, r, path):
        issue = self.issues.get(path[1])
        if issue is None:
            raise Refusal(404, {"errorMessages": ["Issue does not exist or you do not have permission to see it."],
                                "errors": {}})
        if path[2:] == [] and r.method == "GET":
            fields = dict(issue["fields"], status=self.status(issue),
                          attachment=[{"filename": n} for n, _ in issue["files"]], comment={"comments": issue["comments"]})
            wanted = r.query.get("fields", "*all").split(",")
            fields = {k: v for k, v in fields.items() if ("*all" in wanted or k in wanted) and "-" + k not in wanted}
            fields.setdefault("priority", {"name": "Medium"})
            return 200, {"id": issue["id"], "key": issue["key"], "fields": fields, "properties": {
                k: v for k, v in issue["properties"].items() if k == r.query.get("properties")}}
        if path[2:] == [] and r.method == "PUT":
            fields = r.json()["fields"]
            self.check_fields(fields)
            issue["fields"].update(fields)
            return 204, None
        if path[2:] == ["comment"] and r.method == "GET":
            start, n = int(r.query.get("startAt", 0)), int(r.query.get("maxResults", 50))
            newest = issue["comments"][::-1]
            return 200, {"comments": newest[start:start + n], "total": len(newest)}
        if path[2:] == ["comment"] and r.method == "POST":
            body = r.json()
            if self.cloud != isinstance(body["body"], dict):
                raise Refusal(400, {"errorMessages": [], "errors": {"comment": "Comment body is not valid!"}})
            if self.cloud:
                adf_text(body["body"])
            issue["comments"].append(body)
            return 201, {"id": str(len(issue["comments"]))}
        if path[2:] == ["transitions"]:
            return self.transition(r, issue)
        if path[2:] == ["attachments"] and r.method == "POST":
            if r.headers.get("X-Atlassian-Token") != "no-check":
                raise Refusal(403, b"XSRF check failed")
            issue["files"].append((re.search(rb'filename="([^"]*)"', r.body).group(1).decode(), r.body))
            return 200, [{"id": "1"}]
        raise Refusal(405, {"message": "Method Not Allowed"})

    def transition(self, r, issue):
        now = self.transitions[issue["status"]]
        if r.method == "GET":
            return 200, {"transitions": [{"id": i, "name": n, "to": {"name": to}} for i, n, to in now]}
        wanted = r.json()["transition"]["id"]
        for number, _, to in now:
            if number == wanted:
                issue["status"] = to
                return 204, None
        raise Refusal(400, {"errorMessages": ["It seems that you have tried to perform an illegal workflow operation."]})

    # what a test looks at
    def tickets(self):
        out = []
        for i in self.issues.values():
            text = adf_text(i["fields"]["description"]) if self.cloud else i["fields"]["description"]
            comments = [adf_text(c["body"]) if self.cloud else c["body"] for c in i["comments"]]
            out.append({"open": self.open(i), "priority": i["fields"].get("priority", {"name": "Medium"})["name"],
                        "title": i["fields"]["summary"], "due": i["fields"].get("duedate"), "text": text,
                        "comments": comments, "labels": i["fields"]["labels"]})
        return out

    def person_closes(self):
        for i in self.issues.values():
            i["status"] = "Done"

    def person_sets_priority(self, name):
        for i in self.issues.values():
            i["fields"]["priority"] = {"name": name}


# -- ServiceNow ----------------------------------------------------------------------------------------------------------

class ServiceNow(Server):
    GROUP, USER = "a" * 32, "b" * 32

    def __init__(self):
        self.columns = {"sys_id", "number", "short_description", "description", "state", "active", "impact", "urgency",
                        "priority", "correlation_id", "correlation_display", "due_date", "assignment_group", "assigned_to",
                        "caller_id", "category", "close_code", "close_notes", "work_notes", "comments", "u_aws_account",
                        "sys_created_on"}
        self.hidden = set()  # columns that the user may not read
        self.rows, self.files, self.mandatory = [], [], set()
        self.choices = {"state": ["1", "2", "3", "6", "7", "8"],
                        "close_code": ["Solved (Permanently)", "Solved (Work Around)"]}
        super().__init__()
        self.rows.append(self.new({"short_description": "a colleague's ticket", "impact": "3", "urgency": "3"}))

    def new(self, values):
        n = len(self.rows) + 1
        row = {c: "" for c in self.columns}
        row.update({"sys_id": "%032x" % n, "number": "INC%07d" % n, "state": "1", "active": "true", "impact": "3",
                    "urgency": "3", "journal": [], "made": self.now})
        self.write(row, values)
        return row

    def write(self, row, values):
        for k, v in values.items():
            if k == "short_description":
                v = v[:160]  # cut without a word
            if k in ("work_notes", "comments"):
                row["journal"].append((k, v))
            elif k in self.columns:  # others are dropped without a word
                row[k] = v
        row["priority"] = str(max(1, int(row["impact"]) + int(row["urgency"]) - 1))
        if row["state"] in ("7", "8"):
            row["active"] = "false"

    def answer(self, r):
        if not self.basic(r, "mailhook"):
            raise Refusal(401, {"error": {"message": "User Not Authenticated", "detail": "Required to provide Auth information"},
                                "status": "failure"})
        if r.parts[:3] == ["api", "now", "attachment"]:
            return self.attachment(r)
        if r.parts[:3] != ["api", "now", "table"]:
            raise Refusal(404, {"error": {"message": "No route", "detail": None}, "status": "failure"})
        table, rest = r.parts[3], r.parts[4:]
        if table == "sys_user_group":
            return 200, {"result": self.narrow([{"sys_id": self.GROUP, "name": "Identity"}], r)}, {}
        if table == "sys_user":
            return 200, {"result": self.narrow([{"sys_id": self.USER, "user_name": "ann"}], r)}, {}
        if table == "sys_choice":
            rows = [{"element": e, "value": v, "label": v, "name": "incident", "inactive": "false"}
                    for e, values in self.choices.items() for v in values]
            return 200, {"result": self.narrow(rows, r)}, {}
        if table != "incident":
            raise Refusal(400, {"error": {"message": "Invalid table %s" % table, "detail": None}, "status": "failure"})
        if rest:
            return self.one(r, rest[0])
        if r.method == "POST":
            row = self.new(r.json())
            self.rows.append(row)
            return 201, {"result": self.show(row, None)}, {"Location": self.url + "/api/now/table/incident/" + row["sys_id"]}
        return 200, {"result": [self.show(x, r) for x in self.narrow(self.rows, r)]}, {}

    def narrow(self, rows, r):
        """A condition that is not understood is ignored, and the rest decides."""
        for condition in r.query["sysparm_query"].split("^"):
            m = re.fullmatch(r"([a-z_]+)=(.*)", condition)
            if m and rows and m.group(1) in rows[0] and m.group(1) not in self.hidden:
                rows = [x for x in rows if x[m.group(1)] == m.group(2)]
        if "ORDERBYDESC" in r.query["sysparm_query"]:
            rows = rows[::-1]
        return rows[:int(r.query["sysparm_limit"])]

    def show(self, row, r):
        names = self.columns if r is None else set(r.query["sysparm_fields"].split(","))
        out = {n: row[n] for n in names if n in self.columns and n not in self.hidden}
        for journal in ("work_notes", "comments"):
            if journal in out:
                entries = [v for k, v in row["journal"] if k == journal]
                displayed = r is not None and r.query.get("sysparm_display_value") == "true"
                out[journal] = "\n\n".join("2026-01-04 - bot (Work notes)\n" + v for v in entries) if displayed else ""
        return out

    def one(self, r, sys_id):
        row = next((x for x in self.rows if x["sys_id"] == sys_id), None)
        if row is None:
            raise Refusal(404, {"error": {"message": "No Record found", "detail": "Record doesn't exist or ACL restricts the "
                                          "record retrieval"}, "status": "failure"})
        if r.method == "PATCH":
            values = r.json()
            if values.get("state") in ("6", "7") and any(not values.get(c) for c in self.mandatory):
                raise Refusal(403, {"error": {"message": "Operation Failed", "detail": "Data Policy Exception: The following "
                                              "fields are mandatory: %s" % ", ".join(sorted(self.mandatory))},
                                    "status": "failure"})
            self.write(row, values)
        return 200, {"result": self.show(row, r)}, {}

    def attachment(self, r):
        if r.method == "GET":
            return 200, {"result": self.files}, {}
        self.files.append({"table_sys_id": r.query["table_sys_id"], "file_name": r.query["file_name"], "bytes": len(r.body)})
        return 201, {"result": self.files[-1]}, {}

    def tickets(self):
        names = {2: "1/1", 3: "?", 4: "2/2", 5: "?", 6: "3/3"}
        return [{"open": x["active"] == "true" and x["state"] not in ("6", "7", "8"),
                 "priority": names[int(x["impact"]) + int(x["urgency"])], "title": x["short_description"],
                 "due": x["due_date"][:10] or None, "text": x["description"], "comments": [v for _, v in x["journal"]],
                 "labels": [x["correlation_id"]]} for x in self.rows[1:]]

    def person_closes(self):
        for x in self.rows[1:]:
            x["state"] = "6"

    def person_sets_priority(self, name):
        for x in self.rows[1:]:
            self.write(x, {"impact": name[0], "urgency": name[2]})


# -- GitHub and GitLab ---------------------------------------------------------------------------------------------------

def page(items, r, size_key="per_page"):
    size, number = int(r.query.get(size_key, 30)), int(r.query.get("page", 1))
    return items[(number - 1) * size:number * size]


def stamp(t):
    import datetime
    return datetime.datetime.fromtimestamp(t, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class GitHub(Server):
    def __init__(self):
        self.issues, self.push, self.login, self.has_issues, self.expiration = [], True, "mailhook-bot", True, None
        self.people = {"ann"}
        super().__init__()
        self.issues.append(self.new("a colleague's issue", "nothing", [], "bob"))
        self.issues[0]["pull_request"] = {}

    def new(self, title, body, labels, login):
        n = len(self.issues) + 1
        return {"number": n, "title": title, "body": body, "labels": [{"name": x} for x in labels], "state": "open",
                "user": {"login": login}, "assignees": [], "comments_list": [], "made": self.now,
                "created_at": stamp(self.now), "html_url": "%s/octo/ops/issues/%d" % (self.url, n)}

    def answer(self, r):
        headers = {"github-authentication-token-expiration": self.expiration} if self.expiration else {}
        status, body = self.route(r)
        return status, body, headers

    def route(self, r):
        if r.headers.get("Authorization") != "Bearer " + SECRET:
            raise Refusal(401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"})
        if r.headers.get("X-GitHub-Api-Version") != "2022-11-28" or not r.headers.get("User-Agent"):
            raise Refusal(403, {"message": "Request forbidden by administrative rules."})
        if r.parts == ["user"]:
            if self.login is None:
                raise Refusal(403, {"message": "Resource not accessible by integration"})
            return 200, {"login": self.login}
        if r.parts[:3] != ["repos", "octo", "ops"]:
            raise Refusal(404, {"message": "Not Found"})
        rest = r.parts[3:]
        if not rest:
            return 200, {"has_issues": self.has_issues, "archived": False,
                         "permissions": {"push": self.push, "triage": self.push}}
        if rest[0] != "issues" or not self.has_issues:
            raise Refusal(410, {"message": "Issues has been disabled in this repository."})
        if len(rest) == 1:
            return self.create(r) if r.method == "POST" else self.list(r)
        issue = next((i for i in self.issues if str(i["number"]) == rest[1]), None)
        if issue is None:
            raise Refusal(404, {"message": "Not Found"})
        return self.one(r, issue, rest[2:])

    def list(self, r):
        found = [i for i in self.issues if self.visible(i)]
        if "labels" in r.query:
            found = [i for i in found if r.query["labels"] in [x["name"] for x in i["labels"]]]
        if "creator" in r.query:
            found = [i for i in found if i["user"]["login"] == r.query["creator"]]
        if r.query.get("state") != "all":
            found = [i for i in found if i["state"] == "open"]
        return 200, page(found[::-1], r)

    def create(self, r):
        body = r.json()
        if not isinstance(body.get("title"), str):
            raise Refusal(422, {"message": "Validation Failed", "errors": [
                {"resource": "Issue", "field": "title", "code": "missing_field"}]})
        if [a for a in body.get("assignees", []) if a not in self.people]:
            raise Refusal(422, {"message": "Validation Failed", "errors": [
                {"resource": "Issue", "field": "assignees", "code": "invalid"}]})
        if len(body["title"]) > 256 or any(len(x) > 50 for x in body["labels"]):
            raise Refusal(422, {"message": "Validation Failed", "errors": [{"field": "name", "code": "invalid"}]})
        # labels and assignees are dropped without a word where the token may not push
        issue = self.new(body["title"], body["body"], body["labels"] if self.push else [], self.login or "app[bot]")
        issue["assignees"] = [{"login": a} for a in body.get("assignees", [])] if self.push else []
        self.issues.append(issue)
        return 201, issue

    def one(self, r, issue, rest):
        if rest == [] and r.method == "PATCH":
            for k, v in r.json().items():
                issue[k] = v
        if rest == []:
            return 200, issue
        if rest == ["comments"] and r.method == "GET":
            return 200, page(issue["comments_list"], r)
        if rest == ["comments"]:
            issue["comments_list"].append({"body": r.json()["body"]})
            return 201, issue["comments_list"][-1]
        if rest == ["labels"] and r.method == "POST":
            if not self.push:
                raise Refusal(403, {"message": "Must have push access to add labels"})
            issue["labels"] += [{"name": n} for n in r.json()["labels"]]
            return 200, issue["labels"]
        if rest[:1] == ["labels"] and r.method == "DELETE":
            if rest[1] not in [x["name"] for x in issue["labels"]]:
                raise Refusal(404, {"message": "Label does not exist"})
            issue["labels"] = [x for x in issue["labels"] if x["name"] != rest[1]]
            return 200, issue["labels"]
        raise Refusal(404, {"message": "Not Found"})

    def tickets(self):
        out = []
        for i in self.issues[1:]:
            labels = [x["name"] for x in i["labels"]]
            out.append({"open": i["state"] == "open", "priority": ",".join(x for x in labels if x.startswith("priority")),
                        "title": i["title"], "due": None, "text": i["body"],
                        "comments": [c["body"] for c in i["comments_list"]], "labels": labels})
        return out

    def person_closes(self):
        for i in self.issues[1:]:
            i["state"] = "closed"

    def person_sets_priority(self, name):
        for i in self.issues[1:]:
            i["labels"] = [x for x in i["labels"] if not x["name"].startswith("priority")] + [{"name": name}]


class GitLab(Server):
    def __init__(self):
        self.issues, self.level, self.expires, self.scopes, self.may_label = [], 20, "2026-03-01", ["api"], True
        self.files = []
        self.knows_self = True
        super().__init__()

    def answer(self, r):
        if SECRET not in (r.headers.get("PRIVATE-TOKEN"),):
            raise Refusal(401, {"message": "401 Unauthorized"})
        if r.parts[:2] != ["api", "v4"]:
            raise Refusal(404, {"error": "404 Not Found"})
        status, body = self.route(r, r.parts[2:])
        return status, body, {}

    def route(self, r, path):
        if path == ["personal_access_tokens", "self"]:
            if not self.knows_self:
                raise Refusal(404, {"message": "404 Not Found"})
            return 200, {"expires_at": self.expires, "scopes": self.scopes}
        if path == ["users"]:
            return 200, [{"id": 7, "username": "ann"}] if r.query.get("username") == "ann" else []
        if path[:2] != ["projects", "group/ops"]:
            raise Refusal(404, {"message": "404 Project Not Found"})
        rest = path[2:]
        if not rest:
            return 200, {"issues_enabled": True, "archived": False, "permissions": {
                "project_access": {"access_level": self.level}, "group_access": None}}
        if rest == ["issues"]:
            return self.create(r) if r.method == "POST" else self.list(r)
        if rest == ["uploads"] and r.method == "POST":
            name = re.search(rb'name="file"; filename="([^"]*)"', r.body).group(1).decode()
            self.files.append(name)
            return 201, {"url": "/uploads/0123/" + name, "markdown": "[%s](/uploads/0123/%s)" % (name, name)}
        issue = next((i for i in self.issues if rest[0] == "issues" and str(i["iid"]) == rest[1]), None)
        if issue is None:
            raise Refusal(404, {"message": "404 Not found"})
        return self.one(r, issue, rest[2:])

    def list(self, r):
        found = [i for i in self.issues if self.visible(i)]
        if r.query.get("scope") != "all":  # what the others opened is not shown
            found = [i for i in found if i["author"] == "nobody"]
        found = [i for i in found if r.query["labels"] in i["labels"]]
        if r.query.get("state") != "all":
            found = [i for i in found if i["state"] == "opened"]
        return 200, page(found[::-1], r)

    def labels(self, text):
        return [x for x in text.split(",") if x] if self.may_label else []

    def create(self, r):
        body, n = r.json(), len(self.issues) + 1
        if re.search(r"(?m)^/(close|assign|label)\b", body["description"]):
            raise Refusal(400, {"message": "a quick action was run"})
        if "due_date" in body and not re.fullmatch(r"\d{4}-\d\d-\d\d", body["due_date"]):
            raise Refusal(400, {"error": "due_date is invalid"})
        self.issues.append({"iid": n, "id": 1000 + n, "title": body["title"], "description": body["description"],
                            "labels": self.labels(body["labels"]), "due_date": body.get("due_date"), "state": "opened",
                            "assignees": [{"id": x} for x in body.get("assignee_ids", [])], "notes": [], "made": self.now,
                            "created_at": stamp(self.now)[:-1] + ".123Z", "author": "bot",
                            "web_url": "%s/group/ops/-/issues/%d" % (self.url, n)})
        return 201, self.issues[-1]

    def one(self, r, issue, rest):
        if rest == [] and r.method == "PUT":
            body = r.json()
            gone, more = self.labels(body.get("remove_labels", "")), self.labels(body.get("add_labels", ""))
            issue["labels"] = [x for x in issue["labels"] if x not in gone]
            issue["labels"] += [x for x in more if x not in issue["labels"]]
            issue["due_date"] = body.get("due_date", issue["due_date"])
            if body.get("state_event") == "close":
                issue["state"] = "closed"
        if rest == []:
            return 200, issue
        if rest == ["notes"] and r.method == "GET":
            return 200, page(issue["notes"][::-1], r)
        if rest == ["notes"]:
            issue["notes"].append({"body": r.json()["body"]})
            return 201, issue["notes"][-1]
        raise Refusal(404, {"message": "404 Not Found"})

    def tickets(self):
        return [{"open": i["state"] == "opened", "priority": ",".join(x for x in i["labels"] if x.startswith("priority")),
                 "title": i["title"], "due": i["due_date"], "text": i["description"],
                 "comments": [n["body"] for n in i["notes"]], "labels": i["labels"]} for i in self.issues]

    def person_closes(self):
        for i in self.issues:
            i["state"] = "closed"

    def person_sets_priority(self, name):
        for i in self.issues:
            i["labels"] = [x for x in i["labels"] if not x.startswith("priority")] + [name]


# -- PagerDuty -----------------------------------------------------------------------------------------------------------

class PagerDuty(Server):
    KEY = "0123456789abcdef0123456789ABCDEF"

    def __init__(self):
        self.incidents, self.changes, self.acknowledged = [], [], 0
        super().__init__()

    def answer(self, r):
        if r.parts == ["incidents"]:
            if r.headers.get("Authorization") != "Token token=" + SECRET:
                raise Refusal(401, {"error": {"message": "Invalid token", "code": 2006}})
            found = [i for i in self.incidents if i["incident_key"] == r.query["incident_key"]]
            return 200, {"incidents": [{k: i[k] for k in ("incident_key", "status", "title")} for i in found[::-1]]}, {}
        body = r.json()
        if body.get("routing_key") != self.KEY:
            raise Refusal(400, {"status": "invalid event", "message": "Event object is invalid",
                                "errors": ["Invalid routing key"]})
        if r.parts == ["v2", "change", "enqueue"]:
            self.need(body["payload"], {"summary": str, "timestamp": str, "source": str})
            self.changes.append(body)
            return 202, {"status": "success", "message": "Change event processed"}, {}
        if r.parts != ["v2", "enqueue"]:
            raise Refusal(404, b"")
        self.enqueue(body)
        return 202, {"status": "success", "message": "Event processed", "dedup_key": body["dedup_key"]}, {}

    @staticmethod
    def need(payload, shape):
        errors = ["'payload.%s' is missing or blank" % k for k, t in shape.items() if not isinstance(payload.get(k), t) or
                  not payload[k]]
        if len(payload.get("summary", "")) > 1024:
            errors.append("'payload.summary' is too long")
        if errors:
            raise Refusal(400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors})

    def enqueue(self, body):
        alert = next((i for i in self.incidents if i["incident_key"] == body["dedup_key"] and i["status"] != "resolved"), None)
        if body["event_action"] == "trigger":
            self.need(body["payload"], {"summary": str, "source": str, "severity": str})
            if body["payload"]["severity"] not in ("info", "warning", "error", "critical"):
                raise Refusal(400, {"status": "invalid event", "errors": ["'payload.severity' is invalid"]})
            if alert is None:
                alert = {"incident_key": body["dedup_key"], "status": "triggered", "title": body["payload"]["summary"],
                         "events": [], "made": self.now}
                self.incidents.append(alert)
            alert["events"].append(body["payload"])
        elif alert is not None and body["event_action"] == "resolve":
            alert["status"] = "resolved"
        elif alert is not None and body["event_action"] == "acknowledge":
            alert["status"] = "acknowledged"
            self.acknowledged += 1
        elif body["event_action"] not in ("resolve", "acknowledge"):
            raise Refusal(400, {"status": "invalid event", "errors": ["'event_action' is invalid"]})

    def tickets(self):
        return [{"open": i["status"] != "resolved", "priority": i["events"][-1]["severity"], "title": i["title"],
                 "due": None, "text": i["events"][0]["custom_details"]["text"],
                 "comments": [e["custom_details"]["text"] for e in i["events"][1:]], "labels": [i["incident_key"]]}
                for i in self.incidents]

    def person_closes(self):
        for i in self.incidents:
            i["status"] = "resolved"
