-- The ledger's schema, version 1. Times are RFC 3339 UTC text ("2026-02-03T04:05:06Z"): they sort as they read, and the
-- stock sqlite3 tool is the second user interface. Enumerations are words. Ids are never reused.
--
-- One expiry is one row of cases. What mails said of it is notices; what is to be done is jobs; what happened is events.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,          -- schema, seed (of case keys), identity, purged, flood-dropped, quarantine-dropped, drill
  value TEXT NOT NULL
) STRICT;

CREATE TABLE messages (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  digest        TEXT NOT NULL UNIQUE, -- SHA-256: LF-normalised body, From, Date, Subject, Message-ID, Content-Type
  received      TEXT NOT NULL,
  envelope_from TEXT,                 -- NULL: not known; '': <>
  message_id    TEXT,
  sender        TEXT,                 -- the one From address, lower case
  subject       TEXT,
  verdict       TEXT NOT NULL CHECK (verdict IN ('notice', 'unrecognised', 'failed')),
  reason        TEXT,
  parser        TEXT,
  trust         TEXT NOT NULL DEFAULT 'unverified' CHECK (trust IN ('unverified', 'relayed', 'verified')),
  trust_by      TEXT,                 -- "dkim aws.com s1", "arc google.com", "authres mx.example.com"
  trust_steps   TEXT,                 -- JSON list of words for a person
  reply_to      TEXT,
  refs          TEXT,                 -- References of a reply to it, Message-ID left out
  automatic     INTEGER NOT NULL DEFAULT 0,
  list          INTEGER NOT NULL DEFAULT 0,
  quarantined   INTEGER NOT NULL DEFAULT 0, -- 1: counts against the limits of the quarantine while its case is open
  copies        INTEGER NOT NULL DEFAULT 1, -- how often this very message came
  bytes         INTEGER NOT NULL,
  raw           BLOB                  -- NULL: purged, or never kept
) STRICT;
CREATE INDEX messages_quarantined ON messages (id) WHERE quarantined = 1; -- a flood must not slow its own counting

CREATE TABLE verifications (          -- bytes that DNS could not judge yet; gone with their verdict
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
  received   TEXT NOT NULL,
  due        TEXT NOT NULL,
  attempts   INTEGER NOT NULL,
  raw        BLOB                     -- of a copy whose proof another copy lacks; NULL: the message's own
) STRICT;
CREATE INDEX verifications_due ON verifications (due);
CREATE INDEX verifications_message ON verifications (message_id);

CREATE TABLE cases (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  key        TEXT NOT NULL UNIQUE,    -- 32 hex digits; what tickets carry; fixed when the case is opened
  kind       TEXT NOT NULL,           -- a definition's kind, 'unrecognised', 'flood', or 'mailhook.*'
  account    TEXT,
  region     TEXT,
  resource   TEXT,                    -- for 'unrecognised': the sender
  expires    TEXT,                    -- NULL for 'unrecognised'
  precision  TEXT CHECK (precision IN ('second', 'day', 'derived')),
  reason     TEXT,                    -- for 'unrecognised': why; 'drill: nothing expires' for a drill
  trust      TEXT NOT NULL DEFAULT 'unverified' CHECK (trust IN ('unverified', 'relayed', 'verified')),
  unlisted   INTEGER NOT NULL DEFAULT 0, -- opened for an account that neither a rule nor the accounts file names
  ambiguous  INTEGER NOT NULL DEFAULT 0, -- a notice fitted several cases: nothing rotates, a person is asked
  rule       TEXT,                    -- chosen once, when the case opens; NULL: no rule took it
  actions    TEXT NOT NULL DEFAULT '[]', -- JSON list of names: that rule's "do" as it stood then
  state      TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
  opened     TEXT NOT NULL,
  closed     TEXT,
  closed_by  TEXT,                    -- a login name, or an action's name
  closed_trust TEXT,                  -- the case's trust when a person closed it
  approved   TEXT,                    -- when a person approved; then relayed counts as verified
  approved_by TEXT,
  vouched    INTEGER NOT NULL DEFAULT 0 CHECK (vouched IN (0, 1)), -- 1: that person saw account and expiry in AWS
  best_notice INTEGER,                -- notices.id whose facts the case has
  ticket_url TEXT,                    -- as the ticket action told it
  look       TEXT NOT NULL DEFAULT '0001-01-01T00:00:00Z', -- when time alone may change it: looked at by then
  reminded   INTEGER NOT NULL DEFAULT 0, -- the lowest threshold of which there was a reminder, in days; 0: none
  expired    INTEGER NOT NULL DEFAULT 0, -- 1: there was an event "expired"
  awaited    INTEGER NOT NULL DEFAULT 0, -- 1: the next cycle's notice came, or its absence has become a case
  escalated  TEXT NOT NULL DEFAULT '[]'  -- JSON list of names: the escalations that there were
) STRICT;
CREATE INDEX cases_identity ON cases (kind, account, expires);
CREATE INDEX cases_opened ON cases (opened);
CREATE INDEX cases_expires ON cases (state, expires);
CREATE INDEX cases_look ON cases (look);

CREATE TABLE notices (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  message_id INTEGER NOT NULL REFERENCES messages (id),
  case_id    INTEGER NOT NULL REFERENCES cases (id),
  kind       TEXT NOT NULL,
  account    TEXT,
  region     TEXT,
  resource   TEXT,
  event      TEXT,
  expires    TEXT,
  precision  TEXT,
  days_stated INTEGER,
  trust      TEXT NOT NULL,
  seen       TEXT NOT NULL
) STRICT;
CREATE INDEX notices_case ON notices (case_id);
CREATE INDEX notices_message ON notices (message_id);

CREATE TABLE events (                 -- every change of a case, with time and cause; never changed, never deleted before it
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  case_id INTEGER REFERENCES cases (id), -- NULL: of the installation (paused, restored)
  at      TEXT NOT NULL,
  what    TEXT NOT NULL,              -- opened, notice, trusted, job, outcome, closed, ...
  by      TEXT NOT NULL,              -- 'mailhook', an action's name, or a login name
  detail  TEXT NOT NULL
) STRICT;
CREATE INDEX events_case ON events (case_id);

CREATE TABLE jobs (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  job_key     TEXT NOT NULL UNIQUE,   -- 32 hex digits from case key, action, event and its count in the case: idempotency
  case_id     INTEGER NOT NULL REFERENCES cases (id),
  action      TEXT NOT NULL,          -- name in the configuration
  role        TEXT NOT NULL CHECK (role IN ('ticket', 'effect', 'reply')),
  event       TEXT NOT NULL,          -- opened, trusted, approved, reminded, succeeded, failed, expired, closed
  event_id    INTEGER NOT NULL REFERENCES events (id), -- the occurrence it belongs to
  position    INTEGER NOT NULL,       -- place in the rule's do list
  needs       TEXT NOT NULL DEFAULT 'unverified',
  state       TEXT NOT NULL CHECK (state IN ('queued', 'running', 'waiting', 'done', 'failed', 'skipped')),
  waiting_for TEXT CHECK (waiting_for IN ('time', 'approval', 'input', 'trust', 'after')),
  attempt     INTEGER NOT NULL DEFAULT 0,
  due         TEXT,                   -- when it may start, or is looked at again; NULL: not by time
  created     TEXT NOT NULL,
  started     TEXT,                   -- its first attempt
  retrying_since TEXT,                -- first failure of the present row of failures: giving up counts from here
  ended       TEXT,
  lease_owner TEXT,                   -- node and boot of the worker that runs it
  lease_until TEXT,
  action_state TEXT NOT NULL DEFAULT '{}', -- the last checkpoint, JSON
  summary     TEXT,
  url         TEXT,
  step        TEXT                    -- what its outcome asked a person for, or told one, last; NULL: nothing
) STRICT;
CREATE INDEX jobs_due ON jobs (state, due);
CREATE INDEX jobs_turn ON jobs (event_id, position, id) WHERE due IS NOT NULL; -- in a long queue: whose turn it is
CREATE INDEX jobs_case ON jobs (case_id);
CREATE INDEX jobs_event ON jobs (event_id); -- for purge: an event that goes is looked for here

CREATE TABLE credentials (            -- what actions told of credentials of their own
  action    TEXT NOT NULL,            -- name in the configuration
  name      TEXT NOT NULL,            -- the action's word for it
  expires   TEXT,                     -- NULL: it has no end
  precision TEXT NOT NULL CHECK (precision IN ('second', 'day')),
  told      TEXT NOT NULL,            -- when the action said so last
  asked     TEXT NOT NULL,            -- when its check was started last for this, or told
  PRIMARY KEY (action, name)
) STRICT;

CREATE TABLE approvals (              -- who said yes to what; never changed
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  case_id INTEGER NOT NULL REFERENCES cases (id),
  step    TEXT,                       -- of a job that waited with it; NULL: the case as a whole
  by      TEXT NOT NULL,              -- a login name
  at      TEXT NOT NULL
) STRICT;
CREATE INDEX approvals_case ON approvals (case_id);

CREATE TABLE renewals (               -- what an action put in the place of what expires
  case_id INTEGER PRIMARY KEY REFERENCES cases (id),
  expires TEXT NOT NULL,
  notice  TEXT                        -- when the issuer writes of it next; NULL: not known
) STRICT;

CREATE TABLE pauses (                 -- while a row is here, no job of it starts
  scope TEXT NOT NULL CHECK (scope IN ('all', 'rule', 'action')),
  name  TEXT NOT NULL,                -- of the rule or action; '' for all
  since TEXT NOT NULL,
  by    TEXT NOT NULL,                -- a login name, or 'mailhook' for a restored ledger
  why   TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (scope, name)
) STRICT;

CREATE TABLE nodes (                  -- the machines whose workers share this ledger: one, unless a server keeps it
  name    TEXT PRIMARY KEY,           -- "node" of the configuration, else the host's name
  life    TEXT NOT NULL,              -- 32 hex digits, others with each start of its worker: tells two of one name apart
  version TEXT NOT NULL,              -- of mailhook
  started TEXT NOT NULL,
  seen    TEXT NOT NULL,              -- its last sign of life, by the ledger's clock
  report  TEXT NOT NULL DEFAULT '{}'  -- JSON, what it tells of itself for 'status'
) STRICT;

CREATE TABLE refusals (               -- jobs that a node leaves to the others
  job_id INTEGER NOT NULL REFERENCES jobs (id),
  node   TEXT NOT NULL,
  until  TEXT NOT NULL,               -- then it tries again itself: what it lacked may be there
  why    TEXT NOT NULL,
  PRIMARY KEY (job_id, node)
) STRICT;

CREATE TABLE claims (                 -- what only one case's action may work on at a time: a tenant of an identity provider
  name    TEXT PRIMARY KEY,           -- the action's word for it
  case_id INTEGER NOT NULL REFERENCES cases (id),
  action  TEXT NOT NULL,
  since   TEXT NOT NULL
) STRICT;

CREATE TABLE mailbox_leases (         -- which node watches a mailbox
  mailbox  TEXT PRIMARY KEY,          -- name in the configuration
  node     TEXT NOT NULL,
  life     TEXT NOT NULL,             -- 32 hex digits, others with each start of the process that watches
  until    TEXT NOT NULL,             -- by the ledger's clock; then another may take it
  wanted   TEXT,                      -- the node that is to have it back, and asked for it; NULL: none
  read     TEXT,                      -- when all that was there had been read; NULL: not known
  position TEXT NOT NULL DEFAULT ''   -- how far it was read, for whoever takes it over
) STRICT;
