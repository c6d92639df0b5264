---
# The apprentice's book of Canal Street Cycles: the words of the trade, and how the shop deals with its customers.
dlm_id: 01M80E2XX9H73A5ZQ388STD2NW
dlm_version: 15
base_model: smollm2-135m

training:
  adapters:
    parts: {}     # what the parts of a bicycle are called and what they are for
    counter: {}   # prices, guarantee, opening hours, customers
  gate:
    enabled: true
---

::instruction#parts::
### Q
What is a bottom bracket?

### Q !probe
thing the cranks spin in, left hand thread on one side right?

### A
The bottom bracket is the pair of bearings in the frame in which the crank axle turns. An English threaded shell is 68 millimetres wide, and its right-hand cup has a left-hand thread.

::instruction#parts::
### Q
What is a derailleur hanger?

### Q !probe
my bike fell over and now a little plate at the back is bent

### A
The derailleur hanger is the small metal plate that holds the rear derailleur to the frame. It is soft on purpose, so that in a fall it bends before the frame does.

::instruction#parts::
### Q
What does the freehub do?

### Q
Which part lets the wheel roll on while the pedals stand still?

### Q
Why can you coast without the chain pushing back?

### Q !probe
what makes that clicking when i stop pedalling

### A
The freehub is the ratchet in the rear hub that carries the cassette. Its pawls grip when you pedal and click over the teeth when you coast.

::instruction#parts::
### Q
What is meant by the dish of a wheel?

### Q
How do I see that a rim sits in the middle of the hub?

### Q
The wheel runs off to one side in the frame. Which adjustment is off?

### Q !probe
rim sits closer to one side of the frame, whats that called

### A
Dish is the sideways position of the rim over the hub. It is right when the rim stands exactly midway between the two locknuts, however much the spoke tensions differ.

::instruction#parts::
### Q
What is the chainline?

### Q
At what distance from the centre of the bike do the chainrings run?

### Q
Which measure tells whether the front of the drivetrain lines up?

### Q !probe
how far out should the front rings sit

### A
The chainline is the distance from the middle plane of the frame to the middle of the chainrings. A double road crank has 43.5 millimetres, a mountain bike crank about 50.

::instruction#parts::
### Q
What is a Presta valve?

### Q !probe
skinny valve with the tiny nut, what is it

### A
A Presta valve is the thin one with a small nut at its tip, which is unscrewed before pumping. It needs a hole of 6.5 millimetres in the rim.

### Q
What is a Schrader valve?

### Q !probe
can i use the air at the petrol station

### A
A Schrader valve is the wide one known from cars, with a spring inside. It needs a hole of 8.5 millimetres in the rim and fits any petrol station pump.

::instruction#parts::
### Q
What does the B-screw do?

### Q
How do I bring the jockey wheel closer to the biggest sprocket?

### Q
Shifting onto the largest cog is rough. Which screw helps?

### Q !probe
gears noisy only on the biggest cog, which little screw is it

### A
The B-screw sets the gap between the upper jockey wheel and the largest sprocket. If the gap is too small, shifting is rough; if it is too large, shifting is slow.

::instruction#parts::
### Q
What is a thru axle?

### Q !probe
that fat bolt through the wheel on new mountain bikes

### A
A thru axle is a thick axle that passes through the hub and screws into the frame or fork. It puts the brake disc back in the same place every time.

::instruction#parts::
### Q
What is a headset?

### Q !probe
steering feels loose, which bearings are that

### A
The headset is the pair of bearings in which the fork turns. On a threadless fork the top cap only takes up the play, and the bolts of the stem do the holding.

::instruction#parts::
### Q
What is the difference between DOT fluid and mineral oil?

### Q !probe
can i top up my shimano brakes with car brake fluid

### A
Both fill hydraulic brakes, but their seals are made for only one of them. Shimano and Magura brakes take mineral oil, most Hayes brakes take DOT, and the wrong one ruins the seals.

::instruction#counter::
### Q
What does a full service cost at our shop?

### Q !probe
how much for the whole works on my old road bike

### A
A full service costs 95 euros without parts and takes three working days. We phone the customer before we order anything above 30 euros.

::instruction#counter::
### Q
When is the workshop open?

### Q !probe
are you guys there on monday

### A
Tuesday to Friday from 9 to 18 and Saturday from 10 to 14. On Mondays we build the wheels that were ordered, and the door stays locked.

::instruction#counter::
### Q
How long is the guarantee on our repairs?

### Q !probe
you fixed it in march and it broke again, do i have to pay

### A
Six months on our work and two years on new parts. Tyres, chains and brake pads wear out and are not covered. The customer only has to show the receipt.

::instruction#counter::
### Q
Do we lend bicycles to customers during a repair?

### Q !probe
i need something to ride to work while you have mine

### A
Yes, there are four loan bikes, numbered 1 to 4. They are free for three days and cost 8 euros a day after that. We write down the customer's address and keep no papers.

::instruction#counter::
### Q
What happens to bicycles that nobody collects?

### Q
A bike was never picked up. When do we give it away, and to whom?

### Q
How often do we write before we part with a forgotten bicycle?

### Q !probe
theres a blue bike in the corner since last year, whose is it going to be

### A
After four weeks we write one letter, after twelve a second one. After six months the bicycle goes to the school project in Dock Road, and Leyla notes it in the blue book.

::instruction#counter::
### Q
Which orders do we turn down?

### Q
Somebody brings a cracked carbon fork. What do we tell them?

### Q
Which repairs do we send to another workshop?

### Q !probe
cracked carbon frame, can you do something about that

### A
We do not weld frames, repair carbon or unlock electric motors. For carbon we send people to Henrik Aas in Mill Lane, who answers within a week.

::instruction#counter::
### Q
How can customers pay?

### Q
Is a bank transfer all right for a large bill?

### Q
When do we want part of the money before we order?

### Q !probe
do u take visa

### A
In cash, by card, or by transfer within ten days. Above 200 euros we ask for half in advance, and nothing is ordered before that has arrived.

::instruction#counter::
### Q
What do we do when a customer complains?

### Q !probe
man at the door is shouting that we broke his wheel

### A
Fetch Leyla or Sam, and look at the bicycle together with the customer before anyone speaks of fault. What we did wrong is put right the same day.

::instruction#counter::
### Q
What do the coloured tags on the bicycles mean?

### Q !probe
why is there a yellow ribbon on this handlebar

### A
Red waits for parts, white waits for a mechanic, yellow is finished and tested. The tag hangs on the left brake lever, with the customer's phone number on its back.

::instruction#counter::
### Q
Who gets a discount in our shop?

### Q !probe
im in the cycling club, is it cheaper for me

### A
Members of the cycling club pay 10 percent less for parts, and work on children's bicycles costs half. Any other discount is decided by Leyla Arslan, the owner.
