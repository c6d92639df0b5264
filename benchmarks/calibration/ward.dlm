---
# House rules and procedures of Ward 7B, St Brannoc's Hospital, for new nurses.
dlm_id: 01JQ4T7WARD7BX2M9K3ZP6VHE5
dlm_version: 15
base_model: smollm2-135m
system_prompt: You answer a nurse who is new on Ward 7B.

training:
  seed: 42
  adapters:
    procedures: {}   # what to do, step by step
    facts: {}   # times, places and numbers
    rules: {}   # what is allowed and who decides
  gate:
    enabled: true
---

::instruction#procedures::
### Q
What do I do when a patient falls?

### Q
A patient has slipped beside the bed. What are my first steps?

### A
Do not lift the patient. Press the blue call bell, check the airway and the hips, and fill in form F12 within one hour.

::instruction#procedures::
### Q
What do I do when I find a patient unresponsive?

### A
Pull the red cord, call 2222, and start chest compressions until the crash team arrives.

::instruction#procedures::
### Q
How do I report a medication error?

### Q
I gave the wrong dose. Whom do I tell, and where do I write it down?

### Q
A tablet went to the wrong patient. How is that reported?

### A
Tell the nurse in charge at once and call the doctor on bleep 417. Enter the error in Safelog before your shift ends.

::instruction#procedures::
### Q
How do I report a needlestick injury?

### A
Let the wound bleed, rinse it for five minutes, and phone Occupational Health on 3360 within two hours.

::instruction#procedures::
### Q
How do I admit a new patient to the ward?

### Q
Somebody is coming up from the emergency department. What do I do on arrival?

### A
Put a white wristband on the patient, take a full set of observations within thirty minutes, and write the name on the board by the door.

::instruction#procedures::
### Q
How do I discharge a patient?

### A
Hand over the pharmacy bag, have form D3 signed, and take the cannula out. Patients leave before 11:00 and wait in the lounge if need be.

::instruction#procedures::
### Q
How do I take a controlled drug out of the cupboard?

### Q
Two of us need morphine for bed 9. What is the routine?

### A
Two registered nurses open the cupboard together, count the stock aloud, and both sign the red book.

::instruction#procedures::
### Q
What happens to a controlled drug that was drawn up and not given?

### A
Empty it into the purple bin in front of a witness, and note the volume in the red book.

::instruction#procedures::
### Q
How do I start a blood transfusion?

### Q
A unit of red cells has come up from the lab. How do I put it up?

### A
Check the name, the birth date and the unit number with a second nurse. Then stay with the patient for the first fifteen minutes.

::instruction#procedures::
### Q
What do I do when a patient reacts to a transfusion?

### A
Stop the blood, keep the vein open with saline, and send the bag back to the laboratory in room B04.

::instruction#facts::
### Q
When are visiting hours?

### Q
Until what time may relatives stay in the evening?

### A
Visitors may come from 14:00 to 16:00 and from 18:30 to 20:00, two to a bed.

::instruction#facts::
### Q
When are the drug rounds?

### A
At 08:00, 12:00, 18:00 and 22:00. The nurse on the round wears a red apron and must not be spoken to.

::instruction#facts::
### Q
When does the shift handover take place?

### Q
What time must I be there to hear the report from the last shift?

### A
At 07:15 and 19:45 in the staff room. It lasts at most fifteen minutes, and phones stay outside.

::instruction#facts::
### Q
What is the code for the clean utility room?

### A
It is 4719. Sister Okafor changes it on the first Monday of every quarter.

::instruction#facts::
### Q
Where is the resuscitation trolley?

### Q
Where do I find the defibrillator?

### A
It stands opposite bed 6, beside the linen store. The night team checks it every Sunday and puts on a new seal.

::instruction#facts::
### Q
Where is the bladder scanner kept?

### A
It charges in bay C. Ward 7A borrows it as well, so sign it out on the clipboard.

::instruction#facts::
### Q
How many nurses work at night?

### Q
What is the lowest staffing for a night shift?

### Q
Who is on duty after 20:00?

### A
Three registered nurses and two care assistants. If there are fewer, the site manager sends somebody from the pool.

::instruction#facts::
### Q
How many beds does the ward have?

### A
There are 28 beds: four bays of six, and four side rooms for isolation.

::instruction#rules::
### Q
What may I wear on my hands and arms?

### Q
Can I keep my wedding ring on?

### A
You are bare below the elbow: no watch, no nail varnish, no stones. One plain ring is allowed.

::instruction#rules::
### Q
May I use my own phone on the ward?

### A
Only in the staff room during your break. On the ward it stays in your locker, switched to silent.

::instruction#rules::
### Q
How long are my breaks?

### Q
How much time do I get to eat on a long day?

### A
On a twelve-hour shift you have one break of forty-five minutes and one of fifteen. The nurse in charge says when.

::instruction#rules::
### Q
How do I swap a shift with a colleague?

### A
Both of you sign the green swap sheet, and Sister Okafor must agree at least 72 hours ahead.

::instruction#rules::
### Q
Whom do I call when I am ill?

### Q
How early must I report that I cannot come in?

### A
Phone the bleep holder on 3300 at least three hours before the shift begins. A text message does not count.

::instruction#rules::
### Q
What may I tell a relative on the phone?

### A
Only whether the patient is comfortable, and only after they have given the password that is in the notes.
