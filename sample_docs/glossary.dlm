---
# The apprentice's book of Canal Street Cycles: words of the trade, and how things are done in this workshop.
dlm_id: 01M80E2XX9H73A5ZQ388STD2NW
dlm_version: 15
base_model: smollm2-135m

training:
  adapters:
    terms: {}   # what the parts are called and what they are for
    jobs: {}    # how a job is done here, with the shop's own figures
  gate:
    enabled: true
---

::instruction#terms::
### Q
What is a bottom bracket?

### A
The bottom bracket is the pair of bearings in the frame in which the crank axle turns. An English threaded shell is 68 millimetres wide, and its right-hand cup has a left-hand thread.

::instruction#terms::
### Q
What is a derailleur hanger?

### A
The derailleur hanger is the small metal plate that holds the rear derailleur to the frame. It is soft on purpose, so that in a fall it bends before the frame does.

::instruction#terms::
### Q
What does the freehub do?

### A
The freehub is the ratchet in the rear hub that carries the cassette. Its pawls grip when you pedal and click over the teeth when you coast.

::instruction#terms::
### Q
What is meant by the dish of a wheel?

### A
Dish is the sideways position of the rim over the hub. It is right when the rim stands exactly midway between the two locknuts, however much the spoke tensions differ.

::instruction#terms::
### Q
What is the chainline?

### A
The chainline is the distance from the middle plane of the frame to the middle of the chainrings. A double road crank has 43.5 millimetres, a mountain bike crank about 50.

::instruction#terms::
### Q
What is a Presta valve?

### A
A Presta valve is the thin one with a small nut at its tip, which is unscrewed before pumping. It needs a hole of 6.5 millimetres in the rim.

### Q
What is a Schrader valve?

### A
A Schrader valve is the wide one known from cars, with a spring inside. It needs a hole of 8.5 millimetres in the rim and fits any petrol station pump.

::instruction#terms::
### Q
What does the B-screw do?

### A
The B-screw sets the gap between the upper jockey wheel and the largest sprocket. If the gap is too small, shifting is rough; if it is too large, shifting is slow.

::instruction#terms::
### Q
What is a thru axle?

### A
A thru axle is a thick axle that passes through the hub and screws into the frame or fork. It puts the brake disc back in the same place every time.

::instruction#terms::
### Q
What is a headset?

### A
The headset is the pair of bearings in which the fork turns. On a threadless fork the top cap only takes up the play, and the bolts of the stem do the holding.

::instruction#terms::
### Q
What is the difference between DOT fluid and mineral oil?

### A
Both fill hydraulic brakes, but their seals are made for only one of them. Shimano and Magura brakes take mineral oil, most Hayes brakes take DOT, and the wrong one ruins the seals.

::instruction#jobs::
### Q
How do I tell that a chain is worn out?

### A
Lay the gauge into the upper run at three places. Replace an 11- or 12-speed chain at 0.5 percent and an older one at 0.75, and look at the cassette as well.

::instruction#jobs::
### Q
How do I true a wheel that wobbles to the left?

### A
Where the rim touches the gauge, loosen the left spokes and tighten the right ones, a quarter turn at a time. Stop when less than half a millimetre is left.

::instruction#jobs::
### Q
How tight do I make the bolts of the stem?

### A
Tighten the faceplate bolts crosswise to 5 newton metres with the torque wrench, with equal gaps above and below the bar. Carbon bars get assembly paste, never grease.

::instruction#jobs::
### Q
How do I bleed a Shimano disc brake?

### A
Level the lever, screw the funnel on top, and push oil up from the caliper with the syringe until no bubbles rise. Flick the lever ten times, then close it with the plunger.

::instruction#jobs::
### Q
How do I set the limit screws of a rear derailleur?

### A
On the smallest sprocket, turn the H screw until the upper jockey wheel stands right below it. On the largest, do the same with the L screw. The cable comes afterwards.

::instruction#jobs::
### Q
How do I find out where a bicycle creaks?

### A
Change one thing at a time: ride standing, then seated, then with one foot. Grease the seatpost, the pedals and the saddle rails first, since most creaks live there.

::instruction#jobs::
### Q
How do I mount a tubeless tyre?

### A
Tape the rim, mount the tyre dry, and seat the beads with the compressor. Pour 60 millilitres of sealant through the valve, shake the wheel, and lay it flat for an hour on each side.

::instruction#jobs::
### Q
Which tyre pressure do we set on city bikes?

### A
For 37 millimetre tyres and a rider of 75 kilograms we pump 3.0 bar in front and 3.5 behind. The limit printed on the sidewall is never exceeded.

::instruction#jobs::
### Q
What do we check before a bicycle leaves the workshop?

### A
Brakes, both axles, stem, handlebar, saddle and pedals, in that order. Then comes a test ride of 500 metres with ten hard stops, and the mechanic signs the yellow tag.

::instruction#jobs::
### Q
What does a full service cost at our shop?

### A
A full service costs 95 euros without parts and takes three working days. We phone the customer before we order anything above 30 euros.
