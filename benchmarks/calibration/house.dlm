---
# Notes for Grandma's and Grandpa's house, for whoever looks after it.
dlm_id: 01KA2DMT7B5RY0WPQ8ZGH4XV6F
dlm_version: 15
base_model: smollm2-135m
system_prompt: You know the house and answer in plain words.

training:
  seed: 42
  adapters:
    procedures: {}
    facts: {}
---

::instruction#procedures::
### Q
How do I turn on the heating?

### Q
The house is cold. What do I switch on?

### A
Turn the red switch by the cellar door to 1 and set the dial in the hall to 20. The radiators need about an hour to get warm.

::instruction#procedures::
### Q
How do I get hot water?

### Q
The water in the bathroom stays cold. What do I do?

### A
Switch on the boiler behind the linen cupboard and wait forty minutes. Its green lamp goes out when the water is hot.

::instruction#procedures::
### Q
How do I turn off the water before I leave?

### Q
Where is the main tap for the water?

### A
The main tap is in the cellar, left of the washing machine: turn it clockwise until it stops. Then open the kitchen tap so that the pipes run empty.

::instruction#procedures::
### Q
What do I do when the power goes out?

### Q
A fuse has blown. Where is the fuse box?

### A
The fuse box hangs behind the coats in the hall. Push up the switch that points down; if it falls again, unplug the toaster, which is nearly always to blame.

::instruction#procedures::
### Q
How do I light the stove in the living room?

### A
Open the flap on the pipe, lay kindling on two sheets of newspaper and light it from the top. Close the door as soon as the logs have caught.

::instruction#procedures::
### Q
When does the rubbish go out?

### Q
On which day are the bins collected?

### A
The grey bin is collected on Tuesdays and the paper bin on the first Friday of the month. Put them at the road the evening before, handles outward.

::instruction#procedures::
### Q
How do I feed the cat?

### Q
How much does Minka get to eat?

### Q
When is the cat fed?

### A
Minka gets half a tin at seven in the morning and half a tin at six in the evening. Never give her milk, however much she begs.

::instruction#procedures::
### Q
How do I feed the hens?

### A
Two scoops of grain at eight, and kitchen scraps at noon but no potato peel. Fill the drinker with rainwater from the barrel.

::instruction#procedures::
### Q
How do I shut the hens in at night?

### A
Wait until all seven are on the perch, about a quarter of an hour after sunset, then drop the slide and hook it. The fox comes every night.

::instruction#procedures::
### Q
How do I water the tomatoes?

### A
Pour one can per plant into the clay pots in the soil every evening, never over the leaves. In rain they get nothing, since the roof keeps it off anyway.

::instruction#procedures::
### Q
How do I mow the lawn?

### Q
The mower will not start. What is the trick?

### A
Press the rubber button three times, hold the bar down and pull the cord hard. Leave the strip by the pond uncut for the frogs.

::instruction#procedures::
### Q
What do I have to do before I lock up and leave?

### Q
What is on the list for the last day?

### A
Close all shutters, empty the fridge, set the heating to frost and leave the key at Mrs. Brandl's. Ring Papa once you are on the motorway.

::instruction#facts::
### Q
Where is the spare key?

### Q
I have locked myself out. Who has a key?

### A
One hangs under the third flowerpot on the well, and Mrs. Brandl at number 14 has another. Put it back the same day.

::instruction#facts::
### Q
Who is the caretaker, and when does he come?

### A
Mr. Havel comes on Mondays and Thursdays from nine to eleven. In an emergency ring him at 0171 555 2038, but not during his midday nap.

::instruction#facts::
### Q
What is the password for the wireless network?

### Q
How do I get onto the internet in the house?

### A
The network is called Apfelbaum and the password is the name of the first dog and the year of the wedding: Bruno1968. It does not reach the attic.

::instruction#facts::
### Q
Which doctor do Oma and Opa go to?

### Q
Who is the family doctor?

### A
Dr. Steinmetz at Kirchgasse 3, telephone 555 410. On Wednesday afternoons the practice is closed, and Dr. Aziz in Lindau stands in.

::instruction#facts::
### Q
Which pills does Opa take in the morning?

### A
One white for the blood pressure and half a yellow for the heart, both before breakfast. They lie in the blue box, sorted by day.

::instruction#facts::
### Q
Which pills does Oma take in the evening?

### A
One small pink one against the dizziness, with a full glass of water at nine. It must not be taken together with grapefruit.

::instruction#facts::
### Q
Who sleeps in which room?

### A
Guests sleep in the blue room upstairs and children in the bunk beds next to it. The room with the balcony is Oma's sewing room and stays free.

::instruction#facts::
### Q
Where are the clean sheets and towels?

### A
In the linen cupboard on the landing: sheets at the top, towels in the middle. The embroidered ones at the bottom are from the wedding and not for use.

::instruction#facts::
### Q
Where do we park the car?

### A
In the yard beside the walnut tree, but not under it between September and November. The gate must stay free for the milk lorry at five in the morning.

::instruction#facts::
### Q
Where is the nearest shop?

### Q
Where can I buy milk and bread?

### A
The village shop is next to the church, ten minutes on foot, open from seven to noon and closed on Sundays. On Sundays the petrol station in Lindau has bread.

::instruction#facts::
### Q
How old is the house?

### A
It was built in 1911 by great-grandfather Anton, a carpenter. The kitchen was added in 1974 after the fire.

::instruction#facts::
### Q
What is the story of the fire?

### A
In March 1973 a swallow's nest in the chimney caught fire and burned down the old kitchen. Nobody was hurt, and the clock was saved by Aunt Resi.
