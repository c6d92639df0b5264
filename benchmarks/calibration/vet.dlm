---
# Advice sheet of the Larkfield small-animal practice: rabbits and guinea pigs.
dlm_id: 01KC4XT0WZG8JPB5VNMR6Q1YEH
dlm_version: 15
base_model: smollm2-135m
system_prompt: You answer owners from the practice's advice sheet.

training:
  seed: 42
  adapters:
    rabbits: {}
    cavies: {}
    urgent: {}
---

::instruction#rabbits::
### Q
How much hay does a rabbit need?

### Q
What should a rabbit eat most of?

### A
Hay must be there day and night, each day a heap as big as the rabbit itself. It wears down the teeth and keeps the gut moving.

::instruction#rabbits::
### Q
How much fresh greenery does a rabbit get?

### A
About 100 grams for each kilo of body weight a day, split into two meals. Bring in new plants slowly, one kind every three days.

::instruction#rabbits::
### Q
Which vaccinations does my rabbit need?

### Q
Against what is a rabbit vaccinated?

### Q
How often must a rabbit be vaccinated?

### A
One jab a year against myxomatosis and both kinds of RHD, from the age of seven weeks. It costs 52 pounds at our practice.

::instruction#rabbits::
### Q
When can a male rabbit be neutered?

### A
From twelve weeks, as soon as the testicles have come down. Keep him away from females for another six weeks afterwards, since he is still fertile.

::instruction#rabbits::
### Q
How much room do two rabbits need?

### Q
How big must the rabbit pen be?

### A
At least six square metres for two, open at all times and 80 centimetres high. A hutch alone is not a home.

::instruction#rabbits::
### Q
Can a rabbit live alone?

### A
No, a rabbit needs at least one other rabbit; a guinea pig is no substitute. The best pair is a neutered male and a female.

::instruction#rabbits::
### Q
How do I trim my rabbit's claws?

### A
Every six to eight weeks, with a torch behind the nail so that you see the vein; cut three millimetres in front of it. We do it for 9 pounds without an appointment.

::instruction#rabbits::
### Q
How warm may it get for a rabbit?

### Q
What can I do for my rabbit in hot weather?

### A
Above 26 degrees rabbits are in danger. Give shade, a cool tile and wet ears, but never a fan and never a bath.

::instruction#rabbits::
### Q
Why does my rabbit eat its droppings?

### A
Those are the soft caecal pellets, and it must eat them for the vitamins. Only when they are left lying around is the diet too rich.

::instruction#rabbits::
### Q
How long does a rabbit live?

### A
Eight to twelve years, dwarf breeds often longer. From six on we advise a blood test once a year.

::instruction#rabbits::
### Q
How do I carry my rabbit to the practice?

### Q
What does a rabbit need in its travel box?

### A
Use a hard box with a towel, hay and its partner beside it. Never carry a rabbit by the ears or in your arms in the street.

::instruction#cavies::
### Q
How much vitamin C does a guinea pig need?

### Q
Why do guinea pigs need vitamin C?

### A
Twenty milligrams per kilo of body weight a day, as they cannot make it themselves. A quarter of a red pepper covers it; drops in the water do not.

::instruction#cavies::
### Q
Which vegetables may a guinea pig eat?

### Q
What greens can I give my guinea pigs?

### A
Pepper, cucumber, fennel and carrot tops every day. No potato, no onion, no avocado, and cabbage only in spoonfuls.

::instruction#cavies::
### Q
How much should a guinea pig weigh?

### A
A grown one weighs between 700 and 1,200 grams. Weigh it every week, and come to us if it has lost 50 grams.

::instruction#cavies::
### Q
How many guinea pigs should live together?

### A
Two at the very least, better four: one neutered male with females. Two uncastrated boars fight as soon as they smell a sow.

::instruction#cavies::
### Q
How long is a guinea pig pregnant?

### A
About 68 days, and the young come with fur and open eyes. Take the father out before the birth, because the sow can conceive again the same day.

::instruction#cavies::
### Q
How do I trim a guinea pig's claws?

### A
Every four weeks, with the pig on your lap and a slice of cucumber before its nose. The back claws grow faster; cut those first.

::instruction#cavies::
### Q
My guinea pig is scratching and losing hair. What is it?

### Q
Why does my guinea pig have bald patches?

### A
Mostly mites. We give three drops on the skin, two weeks apart, and all pigs of the group must be treated.

::instruction#urgent::
### Q
My rabbit has not eaten since yesterday. What do I do?

### Q
My rabbit refuses all food. Is it an emergency?

### A
This is an emergency: call 0151 555 220 at once, also at night. After twelve hours without food the gut stands still.

::instruction#urgent::
### Q
My guinea pig has not eaten since this morning. What do I do?

### A
Feed it recovery paste from a syringe, 10 millilitres every three hours, and come in the same day. Never use force if it cannot swallow.

::instruction#urgent::
### Q
There are maggots on my rabbit. What do I do?

### Q
I see fly eggs on my rabbit. How fast must I act?

### A
Come at once, without calling first; within a day it is fatal. Do not bathe the rabbit, only pick off with tweezers what you can see.

::instruction#urgent::
### Q
My guinea pig cannot breathe well. What do I do?

### Q
My guinea pig makes rattling noises. Is that bad?

### A
Keep it upright and warm, and drive to us straight away. Pneumonia kills a guinea pig within two days, and rabbits may have given it the germ.

::instruction#urgent::
### Q
What does an emergency visit cost?

### Q
How much do I pay at night or on Sunday?

### A
The call-out at night and on Sundays costs 95 pounds on top of the treatment. You can pay in three instalments.

::instruction#urgent::
### Q
What belongs in the first-aid kit for rabbits and guinea pigs?

### A
Recovery paste, a 1 millilitre syringe, tweezers, a thermometer, gauze and our number. Paracetamol from your own cupboard has no place in it.
