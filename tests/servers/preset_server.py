"""Stand-ins for the systems that presets speak to: Zammad, Azure DevOps, Freshservice, Opsgenie, and three webhooks.

As in ticket_server.py. No vendor was asked.
"""
import base64
import hashlib
import hmac
import json
import re

from ticket_server import SECRET, Refusal, Server

HOOK_KEY = b"0123456789abcdef01234567"


def only(body, names, what):
    """A member that the system does not know is a mistake of the preset."""
    if set(body) - set(names):
        raise Refusal(422, {"error": "%s: unknown %s" % (what, sorted(set(body) - set(names)))})


class Zammad(Server):
    lag_s = 20
    PRIORITIES = {"1 low", "2 normal", "3 high"}

    def __init__(self):
        self.all, self.states = [], {"new", "open", "closed", "merged"}
        super().__init__()
        self.all.append(self.new("a colleague's ticket", "2 normal"))

    def new(self, title, priority):
        n = len(self.all) + 1
        return {"id": n, "title": title, "state": "new", "priority": priority, "articles": [], "made": self.now}

    def answer(self, r):
        if r.headers.get("Authorization") != "Token token=" + SECRET:
            raise Refusal(401, {"error": "Invalid token", "error_human": "Invalid token"})
        path = r.parts[2:]
        if r.parts[:2] != ["api", "v1"]:
            raise Refusal(404, {"error": "No route"})
        if path == ["users", "me"]:
            return 200, {"login": "bot"}, {}
        if path == ["tickets"] and r.method == "POST":
            return 201, self.create(r.json()), {}
        if path == ["tickets", "search"]:
            return 200, self.search(r), {}
        if path[:2] == ["ticket_articles", "by_ticket"]:
            return 200, self.one(path[2])["articles"], {}
        if path == ["ticket_articles"]:
            body = r.json()
            only(body, ("ticket_id", "body", "type", "internal", "content_type"), "article")
            if not isinstance(body["ticket_id"], int):
                raise Refusal(422, {"error": "ticket_id must be a number"})
            articles = self.one(str(body["ticket_id"]))["articles"]
            articles.append(dict(body, id=100 + len(articles)))
            return 201, articles[-1], {}
        if path[0] == "tickets" and len(path) == 2:
            return 200, self.change(r, self.one(path[1])), {}
        raise Refusal(404, {"error": "No route"})

    def one(self, number):
        found = [t for t in self.all if str(t["id"]) == number]
        if not found:
            raise Refusal(404, {"error": "Couldn't find Ticket with 'id'=%s" % number})
        return found[0]

    def create(self, body):
        only(body, ("title", "group", "customer", "priority", "tags", "article"), "ticket")
        if len(body["title"]) > 250:
            raise Refusal(422, {"error": "title is too long"})
        if body["group"] != "Ops" or body["priority"] not in self.PRIORITIES:
            raise Refusal(422, {"error": "No lookup value found for 'group': \"%s\"" % body["group"], "error_human": "x"})
        only(body["article"], ("subject", "body", "type", "internal", "content_type"), "article")
        self.all.append(self.new(body["title"], body["priority"]))
        self.all[-1]["articles"].append(dict(body["article"], id=100))
        return {"id": self.all[-1]["id"]}

    def search(self, r):
        """Full text: what else comes up is the index's business."""
        return [{k: t[k] for k in ("id", "title", "state", "priority")} for t in self.all
                if self.visible(t) and (t["id"] == 1 or r.query["query"] in t["title"])][:int(r.query["limit"])]

    def change(self, r, t):
        if r.method == "PUT":
            body = r.json()
            only(body, ("state", "priority"), "ticket")
            if body.get("state", "new") not in self.states:
                raise Refusal(422, {"error": "No lookup value found for 'state'"})
            t.update(body)
        return {k: t[k] for k in ("id", "title", "state", "priority")}

    def tickets(self):
        return [{"open": t["state"] not in ("closed", "merged"), "priority": t["priority"], "title": t["title"],
                 "text": t["articles"][0]["body"], "comments": [a["body"] for a in t["articles"][1:]]} for t in self.all[1:]]

    def person_closes(self):
        for t in self.all[1:]:
            t["state"] = "closed"

    def person_sets_priority(self, name):
        for t in self.all[1:]:
            t["priority"] = name


class AzureDevOps(Server):
    lag_s = 10
    FIELDS = {"System.Title", "System.Description", "System.Tags", "System.State", "System.AreaPath", "System.AssignedTo",
              "Microsoft.VSTS.Common.Priority", "Microsoft.VSTS.Scheduling.DueDate"}

    def __init__(self):
        self.items, self.ignore_filter = [], False
        super().__init__()

    def answer(self, r):
        if not self.basic(r, ""):  # a page to log in at, and no error
            return 203, b"<html>Azure DevOps Services | Sign In</html>", {}
        if r.parts[:5] != ["acme", "Cloud Ops", "_apis", "wit", r.parts[4]] or not r.query.get("api-version"):
            raise Refusal(404, {"message": "TF200016: The following project does not exist: %s" % r.parts[1]})
        status, body = self.route(r, r.parts[4:])
        return status, body, {"Retry-After": "5"}  # also on success: slow down, and no more

    def route(self, r, path):
        if path == ["wiql"]:
            m = re.search(r"CONTAINS 'mailhook-([0-9a-f]+)'", r.json()["query"])
            found = [i for i in self.items if self.visible(i) and
                     (self.ignore_filter or "mailhook-" + m.group(1) in i["fields"]["System.Tags"].split("; "))]
            return 200, {"workItems": [{"id": i["id"]} for i in found]}
        if path == ["workitems", "$Task"]:
            item = {"id": len(self.items) + 1, "fields": {"System.State": "To Do"}, "comments": [], "made": self.now}
            self.patch(r, item)
            if r.query.get("validateOnly") == "true":
                return 200, {"id": None, "fields": item["fields"]}
            self.items.append(item)
            return 200, {"id": item["id"], "fields": item["fields"]}
        found = [i for i in self.items if len(path) > 1 and str(i["id"]) == path[1]]
        if not found:
            raise Refusal(404, {"message": "TF401232: Work item %s does not exist" % path[1:]})
        if path[2:] == ["comments"]:
            if r.method == "POST":
                found[0]["comments"].append({"id": len(found[0]["comments"]) + 1, "text": r.json()["text"]})
            return 200, {"comments": found[0]["comments"][::-1]}
        if r.method == "PATCH":
            self.patch(r, found[0])
        return 200, {"id": found[0]["id"], "fields": found[0]["fields"]}

    def patch(self, r, item):
        if r.headers.get("Content-Type") != "application/json-patch+json":
            raise Refusal(415, {"message": "Unsupported media type"})
        for op in json.loads(r.body):
            only(op, ("op", "path", "value"), "operation")
            name = op["path"].removeprefix("/fields/")
            if op["op"] != "add" or not re.fullmatch(r"[A-Za-z.]+", name) or "value" not in op:
                raise Refusal(400, {"message": "VS403690: not a field: %s" % op["path"]})
            if name.endswith(".Priority") and op["value"] not in (1, 2, 3, 4):
                raise Refusal(400, {"message": "TF401320: Rule Error for field Priority."})
            if name not in self.FIELDS:
                raise Refusal(400, {"message": "TF51535: Cannot find field %s." % name})
            if name == "System.Title" and len(op["value"]) > 255:
                raise Refusal(400, {"message": "VS403691: the title is too long"})
            if name == "System.State" and op["value"] not in ("To Do", "Doing", "Done"):
                raise Refusal(400, {"message": "The field 'State' contains the value '%s' that is not in the list" % op["value"]})
            item["fields"][name] = op["value"]

    def tickets(self):
        return [{"open": i["fields"]["System.State"] != "Done", "priority": str(i["fields"]["Microsoft.VSTS.Common.Priority"]),
                 "title": i["fields"]["System.Title"], "text": i["fields"]["System.Description"],
                 "comments": [c["text"] for c in i["comments"]]} for i in self.items]

    def person_closes(self):
        for i in self.items:
            i["fields"]["System.State"] = "Done"

    def person_sets_priority(self, name):
        for i in self.items:
            i["fields"]["Microsoft.VSTS.Common.Priority"] = int(name)


class Freshservice(Server):
    lag_s = 10

    def __init__(self):
        self.all = []
        super().__init__()

    def answer(self, r):
        if r.headers.get("Authorization") != "Basic " + base64.b64encode((SECRET + ":X").encode()).decode():
            raise Refusal(401, {"code": "invalid_credentials", "message": "You have to be logged in to perform this action."})
        path = r.parts[2:]
        if r.parts[:2] != ["api", "v2"] or path[0] != "tickets":
            raise Refusal(404, {"message": "no route"})
        if path == ["tickets"] and r.method == "GET":
            return 200, {"tickets": []}, {}
        if path == ["tickets"]:
            return 201, {"ticket": self.create(r.json())}, {}
        if path == ["tickets", "filter"]:
            m = re.fullmatch(r"\"tag:'([a-z0-9-]+)'\"", r.query["query"])
            return 200, {"tickets": [t for t in self.all if self.visible(t) and m and m.group(1) in t["tags"]]}, {}
        found = [t for t in self.all if str(t["id"]) == path[1]]
        if not found:
            raise Refusal(404, b"")
        return self.one(r, found[0], path[2:]) + ({},)

    def create(self, body):
        only(body, ("subject", "description", "email", "priority", "status", "group_id", "tags"), "ticket")
        if len(body["subject"]) > 255:
            raise Refusal(400, {"description": "Validation failed", "errors": [{"field": "subject", "message": "too long"}]})
        if not isinstance(body["priority"], int) or not isinstance(body.get("group_id", 1), int):
            raise Refusal(400, {"description": "Validation failed", "errors": [
                {"field": "priority", "message": "It should be a/an Integer", "code": "datatype_mismatch"}]})
        self.all.append(dict(body, id=len(self.all) + 1, notes=[], made=self.now, description_text=body["description"]))
        return self.all[-1]

    def one(self, r, t, rest):
        if rest == ["conversations"]:
            return 200, {"conversations": t["notes"]}
        if rest == ["notes"]:
            body = r.json()
            only(body, ("body", "private"), "note")
            t["notes"].append({"id": len(t["notes"]) + 1, "body": body["body"], "body_text": re.sub("<[^>]*>", "", body["body"])})
            return 201, {"conversation": t["notes"][-1]}
        if r.method == "PUT":
            body = r.json()
            only(body, ("status", "priority"), "ticket")
            t.update(body)
        return 200, {"ticket": t}

    def tickets(self):
        return [{"open": t["status"] not in (4, 5), "priority": str(t["priority"]), "title": t["subject"],
                 "text": t["description"], "comments": [n["body"] for n in t["notes"]]} for t in self.all]

    def person_closes(self):
        for t in self.all:
            t["status"] = 5

    def person_sets_priority(self, name):
        for t in self.all:
            t["priority"] = int(name)


class Opsgenie(Server):
    def __init__(self):
        self.alerts = []
        super().__init__()

    def find(self, alias):
        found = [a for a in self.alerts if a["alias"] == alias]
        if not found:
            raise Refusal(404, {"message": "Alert does not exist", "took": 0.001})
        return next((a for a in found if a["status"] == "open"), found[-1])

    def answer(self, r):
        if r.headers.get("Authorization") != "GenieKey " + SECRET:
            raise Refusal(403, {"message": "You are not authorized to access this resource."})
        path = r.parts[2:]
        if r.parts[:2] != ["v2", "alerts"]:
            raise Refusal(404, {"message": "no route"})
        if not path and r.method == "GET":
            return 200, {"data": []}, {}
        if path and r.query.get("identifierType") != "alias":
            raise Refusal(422, {"message": "Request body is not processable."})
        taken = (202, {"result": "Request will be processed", "requestId": "0"}, {})
        if not path:
            self.create(r.json())
            return taken
        alert = self.find(path[0])
        if len(path) == 1:
            return 200, {"data": {k: alert[k] for k in ("alias", "status", "priority", "description")}}, {}
        if path[1] == "notes" and r.method == "GET":
            return 200, {"data": [{"note": n} for n in alert["notes"]]}, {}
        body = r.json()
        if path[1] == "notes":
            alert["notes"].append(body["note"])
        elif path[1] == "priority":
            alert["priority"] = body["priority"]
        elif path[1] == "close":
            alert["status"] = "closed"
        return taken

    def create(self, body):
        only(body, ("message", "alias", "description", "priority", "source", "responders", "details"), "alert")
        if len(body["message"]) > 130 or body["priority"] not in ("P1", "P2", "P3", "P4", "P5"):
            raise Refusal(422, {"message": "Request body is not processable.", "errors": {"message": "too long"}})
        if not any(a["alias"] == body["alias"] and a["status"] == "open" for a in self.alerts):
            self.alerts.append(dict(body, status="open", notes=[]))

    def tickets(self):
        return [{"open": a["status"] == "open", "priority": a["priority"], "title": a["message"], "text": a["description"],
                 "comments": a["notes"]} for a in self.alerts]

    def person_closes(self):
        for a in self.alerts:
            a["status"] = "closed"

    def person_sets_priority(self, name):
        for a in self.alerts:
            a["priority"] = name


class Hook(Server):
    """Takes messages at a secret address, or signed ones."""
    def __init__(self, kind):
        self.kind, self.messages, self.ids = kind, [], []
        super().__init__()
        self.secret = "%s/services/%s" % (self.url, SECRET) if kind != "webhook" else \
            "whsec_" + base64.b64encode(HOOK_KEY).decode()

    def answer(self, r):
        if self.kind != "webhook" and r.path != "/services/" + SECRET:
            raise Refusal(403, b"invalid_token")
        body = r.json()
        getattr(self, self.kind)(r, body)
        self.messages.append(body)
        return (200, b"ok", {}) if self.kind == "slack" else (202, b"", {})

    def slack(self, r, body):
        for block in body["blocks"]:
            text = block["text"]
            if text["type"] != "plain_text" or not text["text"] or len(text["text"]) > (150 if block["type"] == "header" else 3000):
                raise Refusal(400, b"invalid_blocks")

    def teams(self, r, body):
        if len(r.body) > 28000 or body["type"] != "message":
            raise Refusal(413, {"error": {"message": "too large"}})
        card = body["attachments"][0]["content"]
        if card["$schema"] != "http://adaptivecards.io/schemas/adaptive-card.json" or any(
                b["type"] != "RichTextBlock" or any(i["type"] != "TextRun" for i in b["inlines"]) for b in card["body"]):
            raise Refusal(400, {"error": {"message": "not such a card"}})

    def webhook(self, r, body):
        """By the Standard Webhooks specification, with nothing of ours."""
        number, when = r.headers["webhook-id"], r.headers["webhook-timestamp"]
        mac = hmac.new(HOOK_KEY, b"%s.%s.%s" % (number.encode(), when.encode(), r.body), hashlib.sha256).digest()
        if "v1," + base64.b64encode(mac).decode() not in r.headers["webhook-signature"].split():
            raise Refusal(401, {"message": "No matching signature found"})
        if abs(int(when) - self.now) > 300:
            raise Refusal(401, {"message": "Message timestamp too old"})
        self.ids.append(number)

    def texts(self):
        if self.kind == "slack":
            return ["\n".join(b["text"]["text"] for b in m["blocks"]) for m in self.messages]
        if self.kind == "teams":
            return ["\n".join(i["text"] for b in m["attachments"][0]["content"]["body"] for i in b["inlines"])
                    for m in self.messages]
        return [json.dumps(m["data"]) for m in self.messages]
