---
# A glossary of sailing terms, for the sailing school at Port Orrin.
dlm_id: 01HXC6P4VNE1MZT9KS3QWJ8RDB
dlm_version: 15
base_model: smollm2-135m
system_prompt: You explain sailing terms.

training:
  seed: 42
  adapters:
    hull: {}
    sails: {}
    manoeuvres: {}
---

::instruction#hull::
### Q
What is the keel?

### Q
Which part runs along the bottom of the boat?

### Q
What stops a sailing boat from drifting sideways?

### A
The keel is the heavy fin under the hull that keeps the boat upright and stops it slipping sideways. On our school boats it weighs 480 kilos and cannot be lifted.

::instruction#hull::
### Q
What is a centreboard?

### A
A centreboard is a plate that swings down through a slot in the bottom of a dinghy. Pull it up when you sail before the wind or come to the beach.

::instruction#hull::
### Q
What is the rudder?

### Q
With what is a boat steered?

### A
The rudder is the blade at the stern that turns the boat. It only works while water flows past it, so a boat standing still cannot be steered.

::instruction#hull::
### Q
What is the tiller?

### A
The tiller is the wooden bar with which you move the rudder. Push it to the left and the bow goes right.

::instruction#hull::
### Q
What is the draught of a boat?

### Q
How deep does a boat reach into the water?

### A
The draught is the depth from the waterline to the lowest point of the boat. Ours draw 1.35 metres, so keep out of the inner harbour two hours either side of low water.

::instruction#hull::
### Q
What is the freeboard?

### A
The freeboard is the height from the waterline up to the deck. A low one makes a boat wet, a high one makes it drift in the wind.

::instruction#hull::
### Q
What does port mean on a boat?

### A
Port is the left side when you look towards the bow. Its light is red.

::instruction#hull::
### Q
What does starboard mean on a boat?

### Q
Which side is starboard?

### A
Starboard is the right side when you look towards the bow. Its light is green, and a boat with the wind from this side has the right of way.

::instruction#hull::
### Q
What is the bilge?

### A
The bilge is the lowest space inside the hull, where water gathers. Ours is pumped dry every evening before the boat is locked.

::instruction#hull::
### Q
What is a fender?

### Q
Which cushions hang between the boat and the pier?

### A
A fender is an air-filled cushion that protects the side of the boat at the pier. Hang out three, and take them in as soon as you are away.

::instruction#sails::
### Q
What is the mainsail?

### A
The mainsail is the big sail behind the mast, held below by the boom. It goes up first and comes down last.

::instruction#sails::
### Q
What is the jib?

### Q
Which sail stands in front of the mast?

### A
The jib is the three-cornered sail in front of the mast, no bigger than the space before it. It is set on the forestay with nine brass hooks.

::instruction#sails::
### Q
What is a genoa?

### Q
How does a genoa differ from a jib?

### A
A genoa is a large foresail that reaches back past the mast and overlaps the mainsail. Take it down from force 5.

::instruction#sails::
### Q
What is a spinnaker?

### Q
Which sail looks like a balloon?

### A
A spinnaker is a light, round sail flown ahead of the boat when the wind comes from behind. At the school only crews with the bronze badge may set it.

::instruction#sails::
### Q
What is the boom?

### Q
What is the pole along the foot of the mainsail?

### Q
Which beam swings across the cockpit when we turn?

### A
The boom is the pole along the foot of the mainsail. It swings across in a turn, so keep your head below the cabin roof.

::instruction#sails::
### Q
What is a halyard?

### A
A halyard is the rope that hoists a sail. The one for the mainsail is white with a red thread, the one for the jib blue.

::instruction#sails::
### Q
What is a sheet?

### Q
With which rope is a sail trimmed?

### A
A sheet is the rope that pulls a sail in or lets it out. It is not the sail itself, as beginners often think.

::instruction#sails::
### Q
What is a shroud?

### A
A shroud is a steel wire that holds the mast from the side. There are two on each side, and none may be slack to windward.

::instruction#manoeuvres::
### Q
What is a tack?

### Q
How does one turn with the bow through the wind?

### Q
What is it called when the bow goes through the wind?

### A
A tack is a turn in which the bow goes through the wind. The helm calls "Ready about?" and turns only when the crew has answered "Ready".

::instruction#manoeuvres::
### Q
What is a gybe?

### A
A gybe is a turn in which the stern goes through the wind. It is the dangerous one: pull the mainsheet in first and count to three.

::instruction#manoeuvres::
### Q
What does heaving to mean?

### A
Heaving to means to stop the boat with the jib set on the wrong side and the tiller pushed to leeward. It then lies quietly, and the crew can eat or reef.

::instruction#manoeuvres::
### Q
What is reefing?

### Q
How is a sail made smaller?

### A
Reefing means making a sail smaller by tying its lower part to the boom. We put in the first reef at force 4 and the second at force 6.

::instruction#manoeuvres::
### Q
What does luffing up mean?

### A
Luffing up means turning the bow towards the wind. Do it when a gust presses the boat over too far.

::instruction#manoeuvres::
### Q
What does bearing away mean?

### A
Bearing away means turning the bow away from the wind. Ease the mainsheet as you do it, or the rudder will not win.
