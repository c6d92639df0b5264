---
# IT onboarding at Tessellate Ltd: first weeks, machines and commands.
dlm_id: 01KB6C0DZ8N4TJ3FQWX5H9MRAS
dlm_version: 15
base_model: smollm2-135m
system_prompt: You help new engineers at Tessellate.

training:
  seed: 42
  adapters:
    setup: {}   # accounts, laptop and access
    commands: {}   # everyday work in the terminal
    people: {}   # whom to ask, and how things are done
  gate:
    enabled: true
---

::instruction#setup::
### Q
How do I sign in for the first time?

### Q
My first login: where do I start?

### A
Open https://id.tessellate.example, enter the code from the welcome letter and choose a passphrase of at least four words.

::instruction#setup::
### Q
How do I set up two-factor login?

### A
Plug in the yellow key and run `tess key enrol`. Enrol both keys, and keep the second one at home.

::instruction#setup::
### Q
I have lost my security key. What do I do?

### Q
My yellow key is gone. How do I get in?

### A
Run `tess key revoke` with your second key and tell security in #sec-help within the hour. A new key comes by post.

::instruction#setup::
### Q
How do I install the VPN?

### Q
What do I need to reach the office network from home?

### A
Run `tess vpn install`, restart, and pick the profile `ams-1`. It disconnects after twelve hours.

::instruction#setup::
### Q
The VPN does not connect. What can I try?

### A
Run `tess vpn doctor` and follow what it prints. If the line says CLOCK, set the time again with `sudo sntp -sS time.tessellate.example`.

::instruction#setup::
### Q
How do I encrypt my disk?

### Q
Is my laptop's disk encrypted, and how do I do it?

### A
Run `tess disk lock` while on mains power. It takes about forty minutes, and the recovery key goes to the vault by itself.

::instruction#setup::
### Q
How do I request access to a repository?

### A
Open a ticket with `tess access ask REPO`, and the owner answers within one working day. Access ends after 180 days.

::instruction#setup::
### Q
How do I get sudo on a server?

### A
Ask with `tess sudo ask HOST --for 2h`. On production, Rasmus Holm has to approve it as well.

::instruction#commands::
### Q
How do I set up the development environment?

### Q
What do I run after I have cloned the monorepo?

### A
Run `make bootstrap` in the root, which takes twenty minutes. Then `make doctor` must print nine green lines.

::instruction#commands::
### Q
How do I start the services on my laptop?

### A
`tess up core` starts the seven that everyone needs. Add names for more, as in `tess up core billing`.

::instruction#commands::
### Q
How do I run the tests?

### Q
What command checks my change before I push?

### A
`make test` runs only what your change touches, and `make test-all` runs everything in about an hour. The second is required before a release.

::instruction#commands::
### Q
How do I open a pull request?

### A
Push to a branch named `yourname/topic` and run `tess pr`. It needs two approvals, one of them from a code owner.

::instruction#commands::
### Q
How do I deploy to staging?

### Q
How does my branch get onto the test system?

### A
Type `tess ship staging BRANCH`. It is live after six minutes and is overwritten every night at 02:00.

::instruction#commands::
### Q
How do I deploy to production?

### A
Merge to `main`, then run `tess ship prod` between 09:00 and 15:00, Monday to Thursday. Watch the dashboard for thirty minutes.

::instruction#commands::
### Q
How do I read the logs of a service?

### Q
Where can I see what a service printed?

### A
`tess logs NAME --since 1h` shows them in your terminal. Older than fourteen days, they lie in the bucket `tess-cold-logs`.

::instruction#commands::
### Q
How do I copy a database to my laptop?

### A
Use `tess db pull NAME`, which fetches a copy without personal data from last Sunday. Copying production itself is forbidden.

::instruction#commands::
### Q
How do I run a database migration?

### Q
How do I add a column to a table?

### A
Write it with `tess db new NAME` and test it on staging. The data team runs it in production on Tuesdays at 10:00.

::instruction#commands::
### Q
How do I store a secret?

### A
Never put one into the code. Run `tess vault put PATH` and give the service the path; Rasmus Holm's team reviews it every quarter.

::instruction#people::
### Q
Who helps me when my laptop is broken?

### Q
My screen stays black. Who repairs it?

### A
Go to the Toolbox on the second floor, open from 8:30 to 17:00. Mireille Okonjo lends you a spare on the spot.

::instruction#people::
### Q
Who is my buddy, and what are they for?

### A
The welcome letter names your buddy, who has an hour a day for you in the first three weeks. Ask them anything before you ask a channel.

::instruction#people::
### Q
When does the on-call duty begin for me?

### Q
How soon do I carry the pager?

### Q
Do I have to be on call as a newcomer?

### A
After ninety days, and after two weeks shadowing. It lasts a week, from Wednesday 11:00, and pays 350 euros.

::instruction#people::
### Q
When are the daily meetings?

### A
Each team stands up at 9:45 for ten minutes. On Wednesdays there is none, because that day is free of meetings.

::instruction#people::
### Q
How do I report a phishing mail?

### Q
I have clicked on a suspicious link. Whom do I tell?

### A
Press the fish button in the mail client. If you have clicked, unplug the network and ring 4040 at once.

::instruction#people::
### Q
How do I order software?

### A
Write the name, the price and the reason into the form SOFT-1. Up to 100 euros your lead decides, above that Mireille Okonjo.
