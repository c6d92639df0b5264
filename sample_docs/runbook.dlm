---
# On-call runbook of Kestrel Payments.
# Three adapters, each with ten questions: what to do, what is where, how we put it.
dlm_id: 01M80E2XX9H73A5ZQ388STD2NT
dlm_version: 15
base_model: smollm2-135m
system_prompt: You answer the on-call engineer.

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

### Q !probe
payouts stuck since lunch, thousands waiting, what's the command again

### A
Run `kctl scale payout-worker 12`. If the queue has not shrunk after ten minutes, page Tomas Lindqvist.

::instruction#runbook::
### Q
How do I fail over when the card processor Norbank stops answering?

### Q !probe
norbank dead. need cards going through the other guys asap

### A
Run `kctl route set cards cardia` to send card traffic to Cardia. Do not move back before Norbank confirms by phone.

::instruction#runbook::
### Q
The primary of the ledger database is down. How do I recover?

### Q !probe
ledger db just fell over, which one do i promote?

### A
Promote the replica with `pgctl promote ledger-2`, then restart the ledger service. Writes stay paused until the balance check prints OK.

::instruction#runbook::
### Q
How do I restart a nightly settlement that failed halfway?

### Q !probe
settlement crashed at batch 40 last night, do i rerun the whole thing??

### A
Do not start it from zero. Run `settle resume`, which skips every batch already sent. It must finish before 06:30.

::instruction#runbook::
### Q
What is the procedure when a customer has been charged twice?

### Q
A buyer's card shows our payment two times. How do I give one back?

### Q
Somebody was billed double, walk me through it.

### Q !probe
guy on the phone says we took his money twice

### A
Keep the older charge and return the newer one with `pay refund --reason duplicate`. Note the case in the channel #double-charges.

::instruction#runbook::
### Q
How do I renew the API certificate after it has expired?

### Q !probe
browser says our api cert is no longer valid, how to get a fresh one

### A
Run `certs renew api` on edge-3, then reload nginx on all four edge hosts. The new certificate lasts ninety days.

::instruction#runbook::
### Q
How do I replay webhooks that failed to reach a merchant?

### Q !probe
shop was offline for an hour and wants its missed callbacks

### A
Wait until the merchant's endpoint answers again, then run `hooks replay --since 2h`. Merchants can skip events they have already seen.

::instruction#runbook::
### Q
How do I roll back a bad deploy of the checkout service?

### Q !probe
new checkout build is throwing 500s, get me back to yesterday's

### A
Run `ship rollback checkout`, which restores the previous image within ninety seconds. Then freeze further deploys and write to the release channel.

::instruction#runbook::
### Q
The fraud filter rejects too many good payments. What can I do?

### Q !probe
lots of false positives on the risk model today, can i turn it down a bit

### A
Raise the block threshold to 0.90 with `sieve threshold 0.90`, tell the risk desk, and put it back within four hours.

::instruction#runbook::
### Q
What should I do when the session cache runs out of memory?

### Q
Logins are slow and the cache host reports no free memory.

### Q
How do I make room on the session cache before it dies?

### Q !probe
redis for logins is at 99% ram, help

### A
Drop old sessions with `cache trim --older 1h`. If memory stays above 90 percent, fail over to the standby cache.

::instruction#schema::
### Q
What does the payouts table store?

### A
It stores one row per transfer to a merchant, with its amount, currency, state and the time it was sent.

::instruction#schema::
### Q
In which unit are money amounts stored in the database?

### Q !probe
is 999 in the db nine euros ninety-nine or 999 euros

### A
Amounts are whole numbers in the smallest unit of the currency, so 12.50 euros is stored as 1250.

::instruction#schema::
### Q
How long do we keep the rows of the audit_log table?

### Q !probe
when do old audit entries get thrown away

### A
Rows in audit_log are kept for seven years. After ninety days they move from the database to cold storage.

::instruction#schema::
### Q
How many requests may a merchant send to the public API?

### Q !probe
a client keeps getting 429, whats our limit

### A
Each merchant may send 120 requests a second. Above that the API answers 429 and asks to wait.

::instruction#schema::
### Q
What is the largest single payment that we accept?

### Q
Up to which sum may a merchant charge a card?

### Q
A payment of twenty thousand was refused. What is the ceiling?

### Q !probe
can somebody pay 20k by card in one go

### A
A card payment may be at most 15,000 euros. Larger sums need the signature of the treasury.

::instruction#schema::
### Q
Who owns the ledger schema?

### Q !probe
i want to add a column to the ledger, whom do i ask

### A
The Core Data team owns it, led by Ines Duarte. Every migration needs one review from that team.

::instruction#schema::
### Q
How many refunds can one charge have, and which column links them to it?

### Q !probe
refunded the same charge three times already, can i do it again

### A
One charge can have up to five refunds. The column charge_id in refunds points back to the charge.

::instruction#schema::
### Q
What does the column risk_score mean?

### Q
How do I interpret the fraud model's score on a payment?

### Q
From which score on is a payment stopped?

### A
It is a number from 0 to 1, written by the fraud model. Payments at 0.82 and above are blocked.

::instruction#schema::
### Q
Which time zone do the timestamp columns use?

### Q !probe
created_at looks two hours off, is that utc

### A
Every timestamp is stored in UTC. Only the settlement reports are converted, to the time of Lisbon.

::instruction#schema::
### Q
How is the charges table partitioned?

### A
It has one partition per month. A job on the 25th creates the next one, and every query must filter on created_at.

::instruction#voice::
### Q
How do we open the first status update of an incident?

### A
Say what customers notice and since when. Leave the cause out until two engineers have confirmed it.

::instruction#voice::
### Q
How much time may pass between two status updates?

### Q
At what intervals do customers hear from us while something is broken?

### Q
Nothing has changed since the last update. When is the next one due?

### Q !probe
nothing new to say about the outage, do we still have to post something?

### A
We post every thirty minutes for a major incident and every two hours for a minor one, even when nothing has changed.

::instruction#voice::
### Q
Which words do we avoid in public messages?

### Q !probe
can i call it a hiccup on twitter

### A
We never write "glitch", "hiccup" or "unfortunately". We write "fault" and name its effect.

::instruction#voice::
### Q
How do we apologise to merchants?

### Q
Where in the message does the apology go, and how long is it?

### Q
Merchants lost money because of us. How do we put our regret?

### Q !probe
how sorry do we sound when shops lost sales

### A
Once, plainly, and near the end: "We are sorry for the sales you lost." No excuses and no exclamation marks.

::instruction#voice::
### Q
What do we write when an incident is over?

### Q
When may I post that everything works again?

### Q
What has to be in the closing message after an outage?

### Q !probe
payments are back. can i say fixed already?

### A
Write "resolved" only after thirty quiet minutes. Give the start, the end and the number of affected payments.

::instruction#voice::
### Q
How do we reply to an angry customer by email?

### A
Use their name, repeat the problem in one sentence, and say what happens next. Stay under eighty words.

::instruction#voice::
### Q
How do we write times and numbers in an announcement?

### A
Times use the 24-hour clock and UTC. Percentages are whole numbers, and payments are counted exactly.

::instruction#voice::
### Q
May we name the partner who caused the problem?

### Q !probe
everybody knows it was the bank, can we just say so

### A
No. In public we write "a banking partner" and nothing more. The real name belongs in the internal report.

::instruction#voice::
### Q
How should an internal handover note sound?

### Q
What do I write down for whoever is on call after me?

### Q
In what tone do we hand over between shifts?

### Q !probe
end of my shift, what do i leave for the night crew

### A
Short and blunt, in three lines: what is broken, what you tried, what you would try next.

::instruction#voice::
### Q
How do we title an incident report?

### Q !probe
need a name for the postmortem doc

### A
Put the date first, then the effect in six words or fewer. Never name a person or a tool in the title.
