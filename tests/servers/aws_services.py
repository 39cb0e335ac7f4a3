"""The services of AWS that the action "trigger" starts, and Secrets Manager, as AwsServer serves them.

Their traps: EventBridge says 200 with FailedEntryCount; Lambda says 200 with X-Amz-Function-Error; a Step Functions name
is answered with the same execution while it runs and refused after; SSM wants a UUID and takes it once; RotateSecret
wants its token from raw HTTP and refuses while a rotation is under way; a FIFO queue or topic drops a deduplication id
that it knows. `effects` lists what was really done.
"""
import json
import re
import urllib.parse
import uuid

UUID = re.compile(r"[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}")


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Services:
    def __init__(self, server):
        self.server, self.effects = server, []
        self.functions = {"rotate": lambda payload: (200, {"ok": True}, None)}
        self.machines = {"arn:aws:states:eu-west-1:111122223333:stateMachine:rotate"}
        self.executions, self.documents, self.automations = {}, {"Rotate-Scim"}, {}
        self.busses, self.topics, self.queues = {"default"}, {}, {}
        self.secrets = {}  # name: {"versions": {id: (value, {stages})}, "rotating": bool}

    def refuse(self, code, message="x", status=400):
        raise Refused(status, code, message)

    def serve(self, call, name):
        if name == "Lambda.Invoke":
            return self.invoke(call)
        if name == "Publish":
            return self.publish(call)
        wanted = {"AWSStepFunctions": ("states", "1.0"), "AmazonSSM": ("ssm", "1.1"), "AWSEvents": ("events", "1.1"),
                  "AmazonSQS": ("sqs", "1.0"), "secretsmanager": ("secretsmanager", "1.1")}
        prefix, _, operation = name.partition(".")
        if prefix not in wanted or not hasattr(self, operation):
            self.refuse("UnknownOperationException", status=404)
        service, version = wanted[prefix]
        if call.service != service:
            self.refuse("InvalidSignatureException", "Credential should be scoped to correct service.", 403)
        if call.headers["content-type"] != "application/x-amz-json-" + version or call.path != "/":
            self.refuse("UnknownOperationException", status=404)
        return 200, json.dumps(getattr(self, operation)(call.json())).encode(), {"Content-Type": "application/x-amz-json-" + version}

    # -- Lambda

    def invoke(self, call):
        name = urllib.parse.unquote(call.path.split("/functions/")[1].split("/")[0])
        if call.service != "lambda" or not call.path.startswith("/2015-03-31/functions/") or not call.path.endswith("/invocations"):
            self.refuse("UnknownOperationException", status=404)
        if name not in self.functions:
            self.refuse("ResourceNotFoundException", "Function not found: " + name, 404)
        kind, payload = call.headers.get("x-amz-invocation-type", "RequestResponse"), json.loads(call.body)
        if kind == "DryRun":
            return 204, b"", {}
        self.effects.append(("lambda", name, payload))
        if kind == "Event":
            return 202, b"", {}
        status, answer, error = self.functions[name](payload)
        return status, json.dumps(answer).encode(), {"X-Amz-Function-Error": error} if error else {}

    # -- Step Functions

    def StartExecution(self, asked):
        machine, name = asked["stateMachineArn"], asked.get("name") or str(uuid.uuid4())
        if machine not in self.machines:
            self.refuse("StateMachineDoesNotExist", "State Machine Does Not Exist: '%s'" % machine)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name):
            self.refuse("InvalidName")
        json.loads(asked["input"])
        arn = machine.replace(":stateMachine:", ":execution:") + ":" + name
        known = self.executions.get(arn)
        if known and (known["status"] != "RUNNING" or known["input"] != asked["input"]):
            self.refuse("ExecutionAlreadyExists", "Execution Already Exists: '%s'" % arn)
        if not known:
            self.executions[arn] = {"status": "RUNNING", "input": asked["input"], "startDate": self.server.now()}
            self.effects.append(("states", arn, json.loads(asked["input"])))
        return {"executionArn": arn, "startDate": self.executions[arn]["startDate"]}

    def DescribeExecution(self, asked):
        if asked["executionArn"] not in self.executions:
            self.refuse("ExecutionDoesNotExist")
        return {"executionArn": asked["executionArn"], **self.executions[asked["executionArn"]]}

    # -- SSM Automation

    def StartAutomationExecution(self, asked):
        if asked["DocumentName"] not in self.documents:
            self.refuse("AutomationDefinitionNotFoundException", "Document not found")
        if any(not isinstance(v, list) for v in asked.get("Parameters", {}).values()):
            self.refuse("SerializationException", "")
        token = asked.get("ClientToken", "")
        if token and not UUID.fullmatch(token):
            self.refuse("ValidationException", "ClientToken")
        known = [i for i, a in self.automations.items() if a["token"] == token and token]
        if known:
            if self.automations[known[0]]["asked"] != asked:
                self.refuse("IdempotentParameterMismatch", "Idempotency parameters do not match")
            return {"AutomationExecutionId": known[0]}
        identity = str(uuid.uuid4())
        self.automations[identity] = {"token": token, "asked": asked, "status": "InProgress"}
        self.effects.append(("ssm", identity, asked.get("Parameters")))
        return {"AutomationExecutionId": identity}

    def GetAutomationExecution(self, asked):
        found = self.automations.get(asked["AutomationExecutionId"])
        if not found:
            self.refuse("AutomationExecutionNotFoundException")
        return {"AutomationExecution": {"AutomationExecutionId": asked["AutomationExecutionId"],
                                        "AutomationExecutionStatus": found["status"], "FailureMessage": found.get("words", "")}}

    # -- EventBridge

    def PutEvents(self, asked):
        entries = []
        for e in asked["Entries"]:
            json.loads(e["Detail"])
            if e.get("EventBusName", "default") not in self.busses:
                self.refuse("ResourceNotFoundException", "Event bus %s does not exist." % e["EventBusName"])
            if e["Source"].startswith("aws."):
                entries.append({"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."})
            else:
                entries.append({"EventId": str(uuid.uuid4())})
                self.effects.append(("events", e["DetailType"], json.loads(e["Detail"])))
        return {"FailedEntryCount": sum("ErrorCode" in e for e in entries), "Entries": entries}

    # -- SNS and SQS

    def publish(self, call):
        form = call.form()
        if call.headers["content-type"].split(";")[0] != "application/x-www-form-urlencoded" or call.service != "sns":
            self.refuse("InvalidAction")
        arn = form["TopicArn"]
        if arn not in self.topics:
            self.refuse("NotFound", "Topic does not exist", 404)
        if arn.endswith(".fifo") and not (form.get("MessageGroupId") and form.get("MessageDeduplicationId")):
            self.refuse("InvalidParameter", "The MessageGroupId parameter is required for FIFO topics")
        if not arn.endswith(".fifo") and "MessageDeduplicationId" in form:
            self.refuse("InvalidParameter", "MessageDeduplicationId is for FIFO topics")
        identity = self.send(self.topics[arn], form.get("MessageDeduplicationId"), "sns", form["Message"])
        text = ("<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>%s</MessageId>"
                "</PublishResult></PublishResponse>")
        return 200, (text % identity).encode(), {"Content-Type": "text/xml"}

    def send(self, known, dedup, service, message):
        if dedup is not None and dedup in known:
            return known[dedup]
        identity = str(uuid.uuid4())
        known[dedup if dedup is not None else identity] = identity
        self.effects.append((service, identity, json.loads(message)))
        return identity

    def SendMessage(self, asked):
        queue = asked["QueueUrl"]
        if queue not in self.queues:
            self.refuse("QueueDoesNotExist", "The specified queue does not exist.")
        if queue.endswith(".fifo") and not (asked.get("MessageGroupId") and asked.get("MessageDeduplicationId")):
            self.refuse("MissingParameter", "The request must contain the parameter MessageGroupId.")
        return {"MessageId": self.send(self.queues[queue], asked.get("MessageDeduplicationId"), "sqs", asked["MessageBody"]),
                "MD5OfMessageBody": "x"}

    # -- Secrets Manager

    def secret(self, asked):
        if asked["SecretId"] not in self.secrets:
            self.refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        return self.secrets[asked["SecretId"]]

    def current(self, s, stage="AWSCURRENT"):
        return next((i for i, (_, stages) in s["versions"].items() if stage in stages), None)

    def make_current(self, s, version):
        old = self.current(s)
        for value, stages in s["versions"].values():
            stages.discard("AWSPREVIOUS")
        if old and old != version:
            s["versions"][old][1].discard("AWSCURRENT")
            s["versions"][old][1].add("AWSPREVIOUS")
        s["versions"][version][1].update({"AWSCURRENT"})
        s["versions"][version][1].discard("AWSPENDING")

    def PutSecretValue(self, asked):
        s, token = self.secret(asked), asked.get("ClientRequestToken", "")
        if not 32 <= len(token) <= 64:
            self.refuse("InvalidParameterException", "ClientRequestToken")
        known = s["versions"].get(token)
        if known and known[0] != asked["SecretString"]:
            self.refuse("ResourceExistsException", "You can't use ClientRequestToken %s because it has another value." % token)
        if not known:
            s["versions"][token] = (asked["SecretString"], set())
            self.effects.append(("secretsmanager", asked["SecretId"], token))
            self.make_current(s, token)
        return {"ARN": "arn:aws:x:" + asked["SecretId"], "Name": asked["SecretId"], "VersionId": token,
                "VersionStages": sorted(s["versions"][token][1])}

    def GetSecretValue(self, asked):
        s = self.secret(asked)
        version = asked.get("VersionId") or self.current(s, asked.get("VersionStage", "AWSCURRENT"))
        if version not in s["versions"]:
            self.refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value.")
        return {"Name": asked["SecretId"], "VersionId": version, "SecretString": s["versions"][version][0],
                "VersionStages": sorted(s["versions"][version][1])}

    def DescribeSecret(self, asked):
        s = self.secret(asked)
        return {"Name": asked["SecretId"], "RotationEnabled": s.get("rotation", False),
                "VersionIdsToStages": {i: sorted(v[1]) for i, v in s["versions"].items() if v[1]}}

    def RotateSecret(self, asked):
        s, token = self.secret(asked), asked.get("ClientRequestToken", "")
        if not 32 <= len(token) <= 64:
            self.refuse("InvalidParameterException", "ClientRequestToken")
        if not s.get("rotation"):
            self.refuse("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
        pending = self.current(s, "AWSPENDING")
        if pending and pending != token:
            self.refuse("InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.")
        if token not in s["versions"]:
            s["versions"][token] = ("made by the function", {"AWSPENDING"})
            self.effects.append(("rotate-secret", asked["SecretId"], token))
        return {"ARN": "arn:aws:x:" + asked["SecretId"], "Name": asked["SecretId"], "VersionId": token}
