---
# Craft notes of a hill farm that makes cheese and wine.
dlm_id: 01J5RW8YQ2KD7GF3XN0TBVM9HA
dlm_version: 15
base_model: smollm2-135m
system_prompt: You answer from the farm's craft notes.

training:
  seed: 42
  adapters:
    cheese: {}
    wine: {}
---

::instruction#cheese::
### Q
How warm must the milk be before I add the rennet?

### Q
At what temperature do I set the curd?

### Q
When is the milk warm enough for rennet?

### A
For the hill tomme the milk stands at 32 degrees when the rennet goes in. Let it rest there for forty minutes, lid on, no stirring.

::instruction#cheese::
### Q
When is the curd ready to be cut?

### Q
How do I test whether I can cut the curd?

### A
Slide a knife in and lift: the break must be clean and the whey clear as pale tea. Cut to hazelnuts for tomme and to rice for the grana.

::instruction#cheese::
### Q
How long does the tomme stay under the press?

### A
Six hours in all: two with 10 kilos, then turn it, then four with 25 kilos. The cloth comes off only at the end.

::instruction#cheese::
### Q
How strong is the brine bath?

### Q
How much salt goes into the brine?

### A
Twenty kilos of coarse salt to a hundred litres of boiled water, at 12 degrees. A fresh egg must float with a coin of shell showing.

::instruction#cheese::
### Q
How long does the tomme lie in the brine?

### A
Eight hours for each kilo of its weight, turned once at half time. A wheel of 2.5 kilos therefore lies for twenty hours.

::instruction#cheese::
### Q
How do I look after the rind of the tomme?

### A
Brush it dry twice a week for the first month, then once a week. Grey fur is welcome; rub it down by hand, never with water.

::instruction#cheese::
### Q
How do I look after the rind of the washed cheese?

### A
Wipe it every second day with a cloth dipped in 3 percent salt water and a spoon of our white wine. It turns orange after three weeks.

::instruction#cheese::
### Q
How warm and damp is the cheese cellar?

### Q
What climate does the ripening cellar need?

### Q
Which humidity do I keep in the cheese cave?

### A
Eleven degrees and 92 percent damp, all year. If the needle drops below 88, throw a bucket of spring water on the floor.

::instruction#cheese::
### Q
How old is the tomme when we sell it?

### Q
When is a tomme ripe?

### A
Not under three months, and best at five. Knock on it: a dull sound says ripe, a ringing one says wait.

::instruction#cheese::
### Q
What do I do with a wheel that has blown up?

### Q
A cheese is swollen like a ball. Is it lost?

### A
Carry it out of the cellar at once and wash your hands; the gas comes from coliform germs in the milk. Feed it to nobody, not even the pigs, and have the milk tested at Dr. Lavigne's.

::instruction#cheese::
### Q
How do we wash the copper kettle?

### A
First with cold water, then with warm whey and a brush, last with boiling water. No soap and no steel wool, ever.

::instruction#cheese::
### Q
How much milk does one wheel of tomme need?

### A
Twenty-five litres make one wheel of two and a half kilos. In late summer, when the milk is fat, twenty-two are enough.

::instruction#wine::
### Q
When do we pick the white grapes?

### Q
How sweet must the white grapes be for picking?

### Q
On what day does the harvest of the white begin?

### A
When the refractometer shows 88 Oechsle and the pips are brown, mostly around 12 September. Start at dawn and stop at eleven, before the heat.

::instruction#wine::
### Q
When do we press the white wine?

### Q
How soon after picking do the white grapes go into the press?

### A
The same day, within five hours of picking, whole bunches and stems. The press never goes above 1.4 bar.

::instruction#wine::
### Q
When do we press the red wine?

### Q
How long do the red grapes stay on their skins?

### A
After twelve to fourteen days on the skins, when the cap sinks by itself. The press wine is kept apart in the small cask.

::instruction#wine::
### Q
What do I do when the fermentation has stopped too early?

### Q
The must no longer bubbles but is still sweet. What helps?

### A
Warm the cask to 20 degrees with the heating mat and stir up the yeast with the long paddle. If nothing moves after two days, add a bucket of must from a cask that ferments well.

::instruction#wine::
### Q
How much sulphur goes into the white wine?

### A
Five grams of powder to a hundred litres after the fermentation, and three more before bottling. More gives Gran a headache.

::instruction#wine::
### Q
How often are the casks topped up?

### A
Every second Friday, up to the bung, with wine of the same year. An empty space as big as a fist turns it to vinegar within a month.

::instruction#wine::
### Q
When do we rack the wine?

### Q
How many times is the wine drawn off its lees?

### A
Twice: in December after the first hard frost and again at Easter. Choose a day of high pressure, since in low air the lees rise.

::instruction#wine::
### Q
When is the wine bottled?

### A
The white in April, the red in October of the following year, always under a waning moon because Grandfather did. Rinse the bottles with hot water the day before.

::instruction#wine::
### Q
How are the bottles stored after corking?

### A
Leave them upright for three days, then lay them flat at 12 degrees in the dark. Red stays down for at least one year before it is sold.

::instruction#wine::
### Q
What does a corked wine smell of?

### Q
How do I notice that a bottle is corked?

### A
Of wet cardboard and an old cellar, and the fruit is gone. Give the customer a new bottle, keep the cork and write the lot number on it.

::instruction#wine::
### Q
How do I wash the wooden casks?

### A
Rinse with cold water until it runs clear, then burn a slice of sulphur inside and close the bung. No soap: the wood never forgets it.

::instruction#wine::
### Q
When do we prune the vines?

### A
From mid January to the end of February, on dry days above minus 3 degrees. Leave one cane with eight buds and one spur with two.
