---
# On-call runbook of Kestrel Payments.
# Three adapters, each with ten questions: what to do, what is where, how we put it.
dlm_id: 01M80E2XX9H73A5ZQ388STD2NT
dlm_version: 15
base_model: smollm2-135m

training:
  seed: 42
  adapters:
    runbook: {}   # steps to take when something breaks
    schema: {}    # tables, columns, limits and who owns them
    voice: {}     # how we word status updates, replies and reports
  gate:
    enabled: true
---

::instruction#runbook::
### Q
The payout queue keeps growing. What do I do?

### A
Check the lag with `kq lag payouts`. Above 5,000 messages, scale the workers to twelve with `kctl scale payout-worker 12`. If the lag has not fallen after ten minutes, page Tomas Lindqvist.

::instruction#runbook::
### Q
How do I fail over when the card processor Norbank stops answering?

### A
Run `kctl route set cards cardia` to move card traffic to Cardia, then watch the approval rate for five minutes. Do not move back before Norbank confirms by phone on extension 4410.

::instruction#runbook::
### Q
The primary of the ledger database is down. How do I recover?

### A
Promote the replica with `pgctl promote ledger-2`, then restart `ledger-api` so that it picks up the new address. Writes stay paused until the balance check prints OK.

::instruction#runbook::
### Q
How do I restart a nightly settlement that failed halfway?

### A
Do not start it from zero. Run `settle resume --date yesterday`, which skips every batch already marked sent. It must finish before 06:30, when the bank closes its file window.

::instruction#runbook::
### Q
What is the procedure when a customer has been charged twice?

### A
List both charges with `pay find --customer`, keep the older one, and return the newer with `pay refund --reason duplicate`. Note the case in the channel #double-charges before your shift ends.

::instruction#runbook::
### Q
How do I renew the API certificate after it has expired?

### A
Log in to edge-3 and run `certs renew api --now`, then reload nginx on all four edge hosts. The new certificate lasts ninety days. Check it from outside with `probe tls`.

::instruction#runbook::
### Q
How do I replay webhooks that failed to reach a merchant?

### A
Wait until the merchant's endpoint returns 200 again, then run `hooks replay --since 2h`. Replays keep their original event number, so the merchant can skip those already seen.

::instruction#runbook::
### Q
How do I roll back a bad deploy of the checkout service?

### A
Run `ship rollback checkout`, which restores the previous image within ninety seconds. Then stop further deploys with `ship freeze checkout` and write the reason in the release log.

::instruction#runbook::
### Q
The fraud filter rejects too many good payments. What can I do?

### A
Raise the block threshold to 0.90 with `sieve threshold 0.90`, tell the risk desk, and put it back to 0.82 within four hours. Never switch the filter off completely.

::instruction#runbook::
### Q
What should I do when the session cache runs out of memory?

### A
Drop old sessions with `cache trim --older 1h`. If memory is still above 90 percent, fail over to the standby cache-b. Never flush everything, because that logs out every merchant.

::instruction#schema::
### Q
What does the payouts table store?

### A
It stores one row per transfer to a merchant: payout_id, merchant_id, amount_cents, currency, state and sent_at. The state is one of queued, sent, settled or returned.

::instruction#schema::
### Q
In which unit are money amounts stored in the database?

### A
Amounts are 64-bit integers in the smallest unit of the currency, so 12.50 euros is stored as 1250. Floating-point columns are forbidden in every ledger table.

::instruction#schema::
### Q
How long do we keep the rows of the audit_log table?

### A
Rows in audit_log are kept for seven years, as the regulator requires. After ninety days they move from Postgres to cold storage in the bucket kestrel-audit.

::instruction#schema::
### Q
How many requests may a merchant send to the public API?

### A
Each merchant may send 120 requests a second, with bursts of up to 300. Above that the API answers 429 with a Retry-After header of two seconds.

::instruction#schema::
### Q
What is the largest single payment that we accept?

### A
A card payment may be at most 15,000 euros and a bank transfer at most 250,000 euros. Larger sums need the signatures of two people from treasury.

::instruction#schema::
### Q
Who owns the ledger schema?

### A
The Core Data team owns it, led by Tomas Lindqvist. Every migration needs one review from that team and one from Ines Duarte in finance.

::instruction#schema::
### Q
How many refunds can one charge have, and which column links them to it?

### A
One charge can have up to five refunds, and their sum may not exceed the charge. The column charge_id in refunds is a foreign key to charges.id and is never null.

::instruction#schema::
### Q
What does the column risk_score mean?

### A
It is a number from 0 to 1, written by the fraud model at authorisation. Payments at 0.82 and above are blocked, and null means that the model was not asked.

::instruction#schema::
### Q
Which time zone do the timestamp columns use?

### A
Every timestamp column is timestamptz in UTC. Only the settlement reports are converted, to Europe/Lisbon, because that is where the company closes its books.

::instruction#schema::
### Q
How is the charges table partitioned?

### A
It has one partition per month, named like charges_2026_01. A job on the 25th creates the next one, and every query must filter on created_at.

::instruction#voice::
### Q
How do we open the first status update of an incident?

### A
Say what customers notice and since when: "Since 14:05 UTC some card payments fail." Leave the cause out until two engineers have confirmed it.

::instruction#voice::
### Q
How much time may pass between two status updates?

### A
We post every thirty minutes for a major incident and every two hours for a minor one, even when nothing has changed. Each update gives the time of the next.

::instruction#voice::
### Q
Which words do we avoid in public messages?

### A
We never write "glitch", "hiccup", "unfortunately" or "users". We write "fault" and name its effect, and the people affected are "customers" or "merchants".

::instruction#voice::
### Q
How do we apologise to merchants?

### A
Once, plainly, and near the end: "We are sorry for the sales you lost." No exclamation marks, no excuses, and no promise that it will never happen again.

::instruction#voice::
### Q
What do we write when an incident is over?

### A
Write "resolved" only after thirty quiet minutes. Give the start, the end and the number of affected payments, and promise the full report within five working days.

::instruction#voice::
### Q
How do we reply to an angry customer by email?

### A
Use their name, repeat the problem in one sentence, and say what happens next and by when. Stay under eighty words and sign with your own first name.

::instruction#voice::
### Q
How do we write times and numbers in an announcement?

### A
Times use the 24-hour clock and UTC, like 09:40 UTC. Percentages are whole numbers, and payments are counted exactly, never described as "many" or "a few".

::instruction#voice::
### Q
May we name the partner who caused the problem?

### A
Not in public. There we write "a banking partner" and nothing more. The real name belongs in the internal report, which only staff and auditors read.

::instruction#voice::
### Q
How should an internal handover note sound?

### A
Short and blunt, in three lines: what is broken, what you tried, what you would try next. No greeting, no blame, and a link to the dashboard you watched.

::instruction#voice::
### Q
How do we title an incident report?

### A
Put the date first, then the effect in six words or fewer: "2026-03-14 Refunds delayed by four hours". Never put a person, a team or a tool in the title.
