---
# Tenants' handbook of the Lindenhof housing cooperative.
dlm_id: 01FWZ9DH6JTEN5NTSAX0CQ7VB3
dlm_version: 15
base_model: smollm2-135m

training:
  seed: 42
  adapters:
    home: {}   # your flat, and what we mend
    house: {}   # shared rooms and living together
    coop: {}   # membership, money and moving
  gate:
    enabled: true
---

::instruction#home::
### Q
My heating does not work. Whom do I call?

### Q
The radiators stay cold. What should I do?

### A
Ring our caretaker Mr Brandl on 0170 555 21 between 7 and 18 o'clock. At night and on Sundays, call Thermofix on 0800 555 90.

::instruction#home::
### Q
There is no hot water. Whom do I call?

### A
Ask a neighbour first. If theirs is cold too, ring Thermofix on 0800 555 90; if not, Mr Brandl comes within a day.

::instruction#home::
### Q
What do I do when water is leaking?

### Q
A pipe has burst in the bathroom. What first?

### A
Close the blue valve under the kitchen sink, then call the emergency line 0800 555 11. Tell the people below you.

::instruction#home::
### Q
How do I report mould?

### A
Send two photos and the room's humidity to wohnen@lindenhof.example. Ms Petrosyan makes an appointment within five working days.

::instruction#home::
### Q
I have locked myself out. Who can open the door?

### Q
I've lost my only key. How do I get in?

### A
Mr Brandl has a spare key and opens for 20 euros until 22 o'clock. After that, only Schloss-Eder on 555 73 is allowed to.

::instruction#home::
### Q
How do I order another key?

### A
Order it in writing from the office with your contract number. It costs 38 euros and takes two weeks, and copies cut elsewhere are forbidden.

::instruction#home::
### Q
May I paint my walls?

### Q
Can I change the colour of the living room?

### A
Yes, in any colour, without asking. When you leave, they have to be white or off-white again.

::instruction#home::
### Q
May I drill holes?

### A
Yes, except in the tiles and within 30 cm of a switch or socket. Fill them before you move out.

::instruction#home::
### Q
May I keep a pet?

### Q
Are dogs allowed?

### A
Cats and small animals need no permission. For a dog you need the written consent of the board, and a second dog is never granted.

::instruction#home::
### Q
May I sublet a room?

### A
Yes, for at most two years, and with the form U-3 handed in a month before. Letting to tourists is forbidden.

::instruction#house::
### Q
When is quiet time?

### Q
From what hour do I have to be quiet in the evening?

### Q
Until when can I play the piano?

### A
From 22 to 6 o'clock, and from 13 to 15 o'clock as well. On Sundays it lasts all day for drills and mowers.

::instruction#house::
### Q
When may I use the laundry room?

### A
Enter your name in the list on its door, for one slot of three hours a week. The slots start at 7, 10, 13, 16 and 19 o'clock.

::instruction#house::
### Q
What does the washing machine cost?

### Q
How do I pay for a load of washing?

### A
Each wash is 1.50 euros, paid with tokens from Mr Brandl. He sells them on Tuesdays from 17 to 18 o'clock.

::instruction#house::
### Q
Where may I dry my laundry?

### A
On the lines in the attic, or on racks on your balcony below the railing. The hall and the stairs stay free.

::instruction#house::
### Q
Where does the rubbish go?

### Q
What belongs in which bin?

### A
Paper is blue, packaging yellow, kitchen waste brown and the rest grey. Glass goes to the containers in Mühlgasse.

::instruction#house::
### Q
What do I do with bulky waste?

### A
Register it with the city on 555 400 and put it on the kerb after 18 o'clock the evening before. Nothing may stand in the yard.

::instruction#house::
### Q
Where can I park my bicycle?

### Q
Is there a room for bikes?

### A
In the cellar of house 4, whose door your flat key opens. Every bike needs a green tag, or it is removed in April.

::instruction#house::
### Q
How do I rent a parking space?

### A
Put your name on the waiting list at the office. A space in the garage costs 65 euros a month and one in the yard 30.

::instruction#coop::
### Q
When is the rent due?

### Q
By which day must I pay?

### A
By the third working day of the month, to the account ending in 4471. After the fifteenth there is a reminder that costs 5 euros.

::instruction#coop::
### Q
How do I give notice?

### A
In writing and signed by every tenant, with three months to the end of a month. An email is not enough.

::instruction#coop::
### Q
How does handing over the flat work?

### Q
What happens on the day I move out?

### A
Ms Petrosyan walks through it with you and writes down the meters. Bring every key, and have it swept clean.

::instruction#coop::
### Q
When do I get my deposit back?

### A
Within six months of moving out, with two percent interest a year. Open service charges are taken off first.

::instruction#coop::
### Q
How do I become a member?

### Q
What does a share in the cooperative cost?

### A
Sign the declaration and take at least four shares of 150 euros each. The board decides on the first Monday of the month.

::instruction#coop::
### Q
When is the general assembly?

### A
Every year on the second Saturday in May at 14 o'clock in the gym of the Linden school. Each member has one vote, however many shares.
