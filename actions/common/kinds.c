/* kinds.c: for each kind what expires, and how a person renews it.
 *
 * Source of the SCIM steps: IAM Identity Center user guide, "Automatic provisioning" and "Rotate an access token"; the
 * token is shown once, two may exist at a time, and AWS goes on writing until the old one is deleted. The console's
 * addresses: AWS Management Console user guide, "Service endpoints"; it sends the browser to the region itself. */
#include <string.h>

#include "actions/common/case_text.h"

#define CLOSE_STEP "Tell mailhook that it is done: mailhook close {case|CASE}\n"

static const struct kind_words kinds[] = {
	{ "aws.identity-center.scim-token", "SCIM access token of IAM Identity Center", "scim-token", "AWS",
	    "singlesignon",
	    "In the AWS console of the management account (or the delegated administrator) open IAM Identity Center"
	    "{?region} in {region}{/region}, Settings, Identity source, Actions, Manage provisioning.\n"
	    "Check that a token expires at the time given above. Two tokens may exist at a time: where there are two, "
	    "delete the unused one first.\n"
	    "Generate a token and copy it: it is shown only once. Send it to nobody by mail or ticket.\n"
	    "In the identity provider put it in place of the old one (Entra ID: Enterprise applications, the "
	    "application "
	    "for IAM Identity Center, Provisioning, Admin Credentials, Secret Token), choose Test Connection, then "
	    "Save.\n"
	    "Wait for the next provisioning cycle (Entra ID: some 40 minutes) and see that it ends without errors.\n"
	    "Delete the old token in IAM Identity Center: AWS goes on sending notices until it is gone.\n" CLOSE_STEP },
	{ "aws.acm.certificate", "certificate in AWS Certificate Manager", "certificate", "AWS", "acm",
	    "Open the certificate in AWS Certificate Manager{?region} in {region}{/region} and see why it was not "
	    "renewed.\n"
	    "Issued by ACM: make the validation records or mails right. Imported: get a new certificate and import it "
	    "under the same ARN.\n"
	    "See that what uses it serves the new one.\n" CLOSE_STEP },
	{ "aws.rds.ca-certificate", "certificate authority of Amazon RDS", "rds-ca", "AWS", "rds",
	    "Give the clients of the databases the new CA bundle first.\n"
	    "Then change each instance{?region} in {region}{/region} to the new certificate authority; some engines "
	    "restart.\n" CLOSE_STEP },
	{ "aws.eks.version-support", "support of a Kubernetes version in Amazon EKS", "eks-version", "AWS", "eks",
	    "List the clusters{?region} in {region}{/region} that run {resource|the version named}.\n"
	    "Test the workloads on the next version, then upgrade the control plane and after it the "
	    "nodes.\n" CLOSE_STEP },
	{ "aws.lambda.runtime-support", "support of a runtime in AWS Lambda", "lambda-runtime", "AWS", "lambda",
	    "List the functions{?region} in {region}{/region} that run on {resource|the runtime named}.\n"
	    "Test them on a newer runtime, then change them.\n" CLOSE_STEP },
	{ "aws.rolesanywhere.certificate", "certificate of IAM Roles Anywhere", "roles-anywhere", "AWS",
	    "rolesanywhere",
	    "Find out whether the trust anchor's CA certificate or a workload's own certificate expires.\n"
	    "Renew it and put it in its place; a trust anchor may hold the old and the new CA for a "
	    "time.\n" CLOSE_STEP },
	{ "github.token", "GitHub personal access token", "github-token", "GitHub",
	    "https://github.com/settings/tokens",
	    "Find out where the token is used.\n"
	    "Regenerate it in GitHub, Settings, Developer settings, and put the new one in its place.\n" CLOSE_STEP },
	{ "gitlab.token", "GitLab personal access token", "gitlab-token", "GitLab", NULL,
	    "Find out where the token is used.\n"
	    "Make a new one in GitLab, Preferences, Access tokens, put it in its place and revoke the old "
	    "one.\n" CLOSE_STEP },
	{ "salesforce.certificate", "Salesforce certificate", "salesforce-certificate", "Salesforce", NULL,
	    "Make a new certificate in Salesforce, Setup, Certificate and Key Management.\n"
	    "Give it to the other side of what it signs, switch over, delete the old one.\n" CLOSE_STEP },
	{ "unrecognised", "mail that looks like an expiry notice and could not be read", "unrecognised",
	    "the service itself", NULL,
	    "Read the mail itself (mailhook show {case|CASE}) and find out whether something expires.\n"
	    "If it does, renew it by hand; and let the definition be mended, so that the next such mail is "
	    "read.\n" CLOSE_STEP },
	{ "mailhook.credential", "credential of mailhook's own", "credential", "whoever issued it", NULL,
	    "Renew {resource|it}{?reason}: {reason}{/reason}.\n"
	    "Put the new one in its place, and see by mailhook check --online that it works.\n"
	    "Write its date into the credential block of the configuration, where no certificate file says it: then "
	    "this case closes by itself.\n" },
	{ "mailhook.silence", "notice that should have come and did not", "silence", "AWS", NULL,
	    "Find out in AWS whether the credential is still there, and when it ends.\n"
	    "If it ends soon, renew it; and see why no notice came: the mailbox, a forward, a rule of the mail server, "
	    "or "
	    "the contact that AWS writes to.\n" CLOSE_STEP },
	{ "flood", "flood of unproven notices, which are listed in one case", "flood", "the service itself", NULL,
	    "Look at what was kept out (mailhook show {case|CASE}). What is real is to be renewed by hand; each has "
	    "its own case as soon as a notice of it comes on a quieter day, or one that is proven.\n"
	    "List the accounts that are yours in the accounts file, and see that real notices can be proven (mailhook "
	    "check).\n" CLOSE_STEP },
};

static const struct kind_words other = { NULL, "credential", "expiry", "the service itself", NULL,
	"Find out what expires and where it is used.\n"
	"Renew it, put the new one in its place, and see that it works.\n" CLOSE_STEP };

static const struct kind_words own = { NULL, "matter of mailhook itself", "mailhook", "mailhook", NULL,
	"Look at it: mailhook show {case|CASE}\n" CLOSE_STEP };

const struct kind_words *
kind_words(const char *kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			return &kinds[i];
	return span_starts(span_of(kind), MH_LIT("mailhook.")) ? &own : &other;
}
