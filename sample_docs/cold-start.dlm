---
# The secretary's file of the Harbour Choir.
# `letters` has two tagged sections and the gate asks for four (cold_start_floor), so the gate stays untrained:
# its mode is `uniform`, and each of the two adapters answers with weight 1/2. Two more letters and it can be trained.
dlm_id: 01M80E2XX9H73A5ZQ388STD2NX
dlm_version: 15
base_model: smollm2-135m

training:
  adapters:
    choir: {}     # dates, people, rooms
    letters: {}   # how we answer the post
  gate:
    enabled: true
    cold_start_floor: 4
---

::instruction#choir::
### Q
When and where does the choir rehearse?

### A
We rehearse every Wednesday from 19:30 to 21:45 in the hall of St Brendan's School. During the school holidays we meet in the rowing club.

::instruction#choir::
### Q
Who conducts the choir?

### A
Alma Reyes has conducted the choir since 2019. When she is away, our second alto Judith Crane takes the rehearsal, but never the concert.

::instruction#choir::
### Q
What does it cost to be a member?

### A
Members pay 18 euros a month, students and pensioners 9. The first four rehearsals are free, and nobody has ever been turned away for lack of money.

::instruction#choir::
### Q
Which works do we sing at the spring concert?

### A
On 17 April we sing the Requiem by Fauré and three psalms by Schütz. The orchestra joins us for the last two rehearsals only.

::instruction#choir::
### Q
Who keeps the sheet music?

### A
Bernard Doyle keeps it in the grey cupboard behind the piano. Scores are numbered, and a lost one costs the price of a new one.

::instruction#letters::
### Q
How do we answer a singer who would like to join?

### A
Invite the singer to four rehearsals before any audition, name the next Wednesday by its date, and say that Judith will be waiting at the side door at 19:15.

::instruction#letters::
### Q
How do we decline an invitation to sing at a wedding?

### A
Thank them, say that the choir does not sing at private feasts, and recommend the quartet of our own members. Wish the couple well by name.
