---
# The Drowned Crown: rules and lore of the world of Vael.
dlm_id: 01E7R3A1MVAE10FSX94GKB5D2W
dlm_version: 15
base_model: smollm2-135m
system_prompt: You are the keeper of the rules of The Drowned Crown.

training:
  seed: 42
  adapters:
    rules: {}   # dice, fights and what a hero can do
    lore: {}   # the world of Vael, its people and places
  gate:
    enabled: true
---

::instruction#rules::
### Q
How do I make a test?

### A
Roll two ten-sided dice and add the fitting virtue. You succeed at 13 or more; a double zero is always a failure.

::instruction#rules::
### Q
How do I use a Tide point?

### Q
What are Tide points good for?

### A
Spend one before the roll to add a third die, or after it to turn a failure into a success with a price. The Tidewarden names the price.

::instruction#rules::
### Q
How do I get Tide points back?

### A
You regain one at each dawn, and all of them when you confess a lie to another hero. You can never hold more than four.

::instruction#rules::
### Q
Who acts first in a fight?

### Q
How is initiative decided?

### A
The side that broke the silence acts first. Within a side, the hero with the highest Nerve begins, and ties go to the youngest player.

::instruction#rules::
### Q
How do I attack?

### A
Test your Iron against the foe's Guard. For each two points above it you deal one wound, and a blade adds one more.

::instruction#rules::
### Q
How do I defend myself?

### Q
Can I parry a blow?

### A
Give up your next action and test Guard. If you succeed the wound is halved, rounded down, and a shield halves it twice.

::instruction#rules::
### Q
What happens when I reach zero wounds left?

### A
You are Drowning. Each round you test Breath; three failures kill you, and one success lets you crawl.

::instruction#rules::
### Q
How do I heal wounds?

### Q
How long does it take to recover?

### Q
My hero is badly hurt. How does she get better?

### A
A night's rest heals two wounds, or four in a house with a hearth. Saltmoss heals one at once, but only one time a day.

::instruction#rules::
### Q
How do I cast a spell?

### A
Name its three words aloud, mark one Frost, and test Wit against 14. If you fail, the spell strikes the nearest friend.

::instruction#rules::
### Q
What happens when I have too much Frost?

### Q
How much Frost can a mage bear?

### A
At five Frost your hands go numb and you drop what you hold; at eight you fall asleep until someone lights a fire.

::instruction#rules::
### Q
How does a hero rise in rank?

### A
When you have kept three oaths, strike out the oldest, go up one rank and raise one virtue by 1. The highest rank is 9.

::instruction#rules::
### Q
How do I swear an oath?

### Q
What is needed for an oath to be valid?

### A
Say it aloud with one hand in water, before a witness who gains nothing by it. You can carry at most three at a time.

::instruction#lore::
### Q
Who rules Vael?

### Q
Who sits on the throne?

### A
Nobody. Queen Ysolwen went into the sea with her crown 61 years ago, and since then the Five Lanterns govern together.

::instruction#lore::
### Q
Who are the Five Lanterns?

### A
Five guild masters: of salt, rope, glass, bread and bone. They meet on moonless nights in the tower of Corrow.

::instruction#lore::
### Q
What is the capital of Vael?

### Q
Where is the largest city?

### A
Corrow, built on nineteen bridges over the mouth of the Senn. About forty thousand people live there.

::instruction#lore::
### Q
Where is the port of Dunmere?

### A
On the northern coast, two days by cart from Corrow. It is known for pilots, smoked eel and smugglers.

::instruction#lore::
### Q
Who are the Marrow Folk?

### Q
Are the Marrow Folk dangerous?

### A
Drowned sailors who walk at spring tide and look for their names. They fear bells, and leave those alone who call them by name.

::instruction#lore::
### Q
Who are the Heron Knights?

### A
Riders who guard the causeways for toll. They never lie, never swim and wear one grey feather for each battle.

::instruction#lore::
### Q
What gods are worshipped?

### Q
Which god do sailors pray to?

### A
Three: Omra of the deep, Til of the wind and the Quiet One. Sailors pray to Til, and only widows to Omra.

::instruction#lore::
### Q
What is the Quiet One?

### A
A god with no temple and no priest. Its sign is an open hand, and no one may speak its true name above ground.

::instruction#lore::
### Q
What money is used?

### Q
How much is a crown worth?

### Q
What coins do people pay with?

### A
One crown is 12 scales, and one scale is 30 pips. A loaf costs 2 pips, and a night at an inn costs 1 scale.

::instruction#lore::
### Q
Which languages are spoken?

### A
Everyone speaks Low Vaelic. Scholars write Sennish, which has no word for tomorrow, and the Marrow Folk understand nothing else.

::instruction#lore::
### Q
How long is a year in Vael?

### Q
How is the calendar divided?

### A
It has thirteen months of 28 days, and one nameless day at the end on which no debt can be collected.

::instruction#lore::
### Q
What is the Drowned Crown?

### A
A ring of black silver, lost with the queen. Whoever wears it hears every promise ever broken, and it whispers at low water.
