"""IAM Identity Center as AwsServer serves it: two SCIM tokens a tenant, each for a year, by the console's private calls.

Its traps: a create is not idempotent, and is refused for a third token; a token's value is told once; expired tokens
are listed until they are deleted; the calls are at home in one Region, at /identitystore/, signed for "identitystore".
"""
import json
import secrets
import uuid

from aws_services import Refused

YEAR_S = 365 * 86400


class IdentityCenter:
    def __init__(self, server):
        self.server = server
        self.account, self.region, self.store = "123456789012", "eu-west-1", "d-99677abcde"
        self.tenant = "kE370acb0d7-97b3-4383-8d96-example"
        self.instances = [self.instance(self.store, self.account)]
        self.tenants = [self.tenant]
        self.tokens = []  # of {"TokenId", "Token", "CreationTime", "ExpirationTime"}, oldest first
        self.delay_s = 0  # a new token is not valid at once
        self.gone = False  # the private calls were taken away
        self.deleted = []

    def instance(self, store, account, **more):
        return {"InstanceArn": "arn:aws:sso:::instance/ssoins-1234567890abcdef", "IdentityStoreId": store,
                "OwnerAccountId": account, "Status": "ACTIVE", "PrimaryRegion": self.region, **more}

    def endpoint(self, tenant):
        return "https://scim.%s.amazonaws.com/%s/scim/v2/" % (self.region, tenant)

    def add(self, expires, created=None):
        """A token made by a person, some time ago."""
        token = {"TokenId": str(uuid.uuid4()), "Token": secrets.token_hex(260),
                 "CreationTime": (expires - YEAR_S if created is None else created) + 0.436, "ExpirationTime": expires + 0.436}
        self.tokens.append(token)
        return token

    def valid(self, value):
        """Does the SCIM endpoint take it? By whoever stands in for that."""
        now = self.server.now()
        return any(t["Token"] == value and int(t["CreationTime"]) + self.delay_s <= now < t["ExpirationTime"] for t in self.tokens)

    def listed(self):
        return [{k: v for k, v in t.items() if k != "Token"} for t in self.tokens]

    def serve(self, call, name):
        asked, operation = call.json(), name.split(".")[1]
        if call.headers["content-type"] not in ("application/x-amz-json-1.1", "application/x-amz-json-1.0"):
            raise Refused(404, "UnknownOperationException", "")
        if name == "SWBExternalService.ListInstances":
            if call.service != "sso" or call.path != "/":
                raise Refused(403, "InvalidSignatureException", "Credential should be scoped to correct service: 'sso'.")
            return self.said({"Instances": self.instances if call.region == self.region else []})
        if self.gone or call.path != "/identitystore/":
            return 404, b"<html>not found</html>", {"Content-Type": "text/html"}
        if call.service != "identitystore":
            raise Refused(403, "InvalidSignatureException", "Credential should be scoped to correct service: 'identitystore'.")
        if call.region != self.region or asked["IdentityStoreId"] not in [i["IdentityStoreId"] for i in self.instances]:
            raise Refused(400, "ResourceNotFoundException", "IdentityStore not found")
        if "TenantId" in asked and asked["TenantId"] not in self.tenants:
            raise Refused(400, "ResourceNotFoundException", "Tenant not found")
        if call.account != self.account:
            raise Refused(400, "AccessDeniedException", "not in this account")
        return self.said(getattr(self, operation)(asked))

    @staticmethod
    def said(answer):
        return 200, json.dumps(answer).encode(), {"Content-Type": "application/x-amz-json-1.1"}

    def ListProvisioningTenants(self, asked):
        return {"ProvisioningTenants": [{"TenantId": t, "ScimEndpoint": self.endpoint(t), "CreationTime": 1713363979.436}
                                        for t in self.tenants]}

    def ListBearerTokens(self, asked):
        return {"BearerTokens": self.listed()}

    def CreateBearerToken(self, asked):
        if len(self.tokens) >= 2:
            raise Refused(400, "LimitExceededException", "The directory has two access tokens")
        now = int(self.server.now())
        return {"BearerToken": self.add(now + YEAR_S, now)}

    def DeleteBearerToken(self, asked):
        found = [t for t in self.tokens if t["TokenId"] == asked["TokenId"]]
        if not found:
            raise Refused(400, "ResourceNotFoundException", "Token not found")
        self.tokens.remove(found[0])
        self.deleted.append(found[0])
        return {}
