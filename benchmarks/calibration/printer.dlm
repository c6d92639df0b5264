---
# User manual of the Halcyon M2 3D printer (excerpt).
dlm_id: 01GXN4V0B6PR1NT3RM2Y5QK8ZC
dlm_version: 15
base_model: smollm2-135m

training:
  seed: 42
  adapters:
    operation: {}   # handling and settings
    care: {}   # cleaning and faults
    data: {}   # limits and figures
  gate:
    enabled: true
---

::instruction#operation::
### Q
How is filament loaded?

### Q
Inserting a new spool

### A
Heat the nozzle to 210 °C, push the filament into the left port until the gear grips it, then select MENU > LOAD. Purge 10 cm before printing.

::instruction#operation::
### Q
How is filament unloaded?

### A
Select MENU > UNLOAD and wait for two beeps. Pull the strand out in one smooth motion and clip its end to the spool.

::instruction#operation::
### Q
How is the bed levelled?

### Q
Adjusting the four corner screws

### A
Run TOOLS > LEVEL. At each corner, turn the screw until a sheet of paper just drags under the nozzle, and repeat the round once.

::instruction#operation::
### Q
How is the Z offset set?

### A
During the first layer, turn the dial in steps of 0.02 mm. Hold the dial for three seconds to store the value.

::instruction#operation::
### Q
How is a print paused?

### Q
Can I interrupt a job and go on later?

### A
Press the dial once and choose PAUSE. The head parks at the rear, and the bed stays warm for 30 minutes before the job is lost.

::instruction#operation::
### Q
How is a print cancelled?

### A
Hold the dial for five seconds until the ring turns red. The heaters switch off, but the fan runs on until the nozzle is below 50 °C.

::instruction#operation::
### Q
How is a finished part removed?

### Q
Taking the model off the plate

### Q
The object sticks to the bed. How does it come off?

### A
Wait until the bed is below 35 °C, lift the steel sheet off its magnets and bend it gently. Never use a metal blade.

::instruction#operation::
### Q
How is the firmware updated?

### A
Copy the file HALCYON.BIN to the root of an empty USB stick, insert it and switch the printer on while holding the dial. The update takes four minutes.

::instruction#operation::
### Q
How is the printer connected to a wireless network?

### Q
Joining a Wi-Fi

### A
Open NET > SCAN and choose the network. Only 2.4 GHz is supported, and the password is entered with the dial.

::instruction#operation::
### Q
How is the camera switched on?

### A
Choose NET > CAMERA > ON and open http://m2.local in a browser. The picture refreshes twice a second.

::instruction#care::
### Q
How is a clogged nozzle cleared?

### Q
Nothing comes out of the nozzle. What can be done?

### A
Heat it to 240 °C, push the 0.35 mm needle up from below, and then load cleaning filament until it runs clear.

::instruction#care::
### Q
How is the nozzle replaced?

### A
Heat the old one to 200 °C and undo it with the 7 mm key. Tighten the new one while hot, with no more than 3 Nm.

::instruction#care::
### Q
How are the rails lubricated?

### Q
Oiling the X and Y axes

### A
Wipe them with a dry cloth and put two drops of PTFE oil on each rail every 200 hours. Never use grease.

::instruction#care::
### Q
How is the build plate cleaned?

### A
Use warm water and dish soap, then wipe it with isopropyl alcohol. Acetone destroys the coating.

::instruction#care::
### Q
What does error E04 mean?

### Q
The display shows E04

### A
The bed has not reached its temperature within eight minutes. Check the white connector under the bed, and whether the room is colder than 15 °C.

::instruction#care::
### Q
What does error E07 mean?

### A
The filament has run out or is jammed. Load a new spool and press RESUME; the job goes on from the same layer.

::instruction#care::
### Q
What does error E11 mean?

### Q
Why is E11 shown on the screen?

### A
The door is open or its magnet is missing. Printing stops at once and goes on when the door has been closed for five seconds.

::instruction#data::
### Q
What is the build volume?

### Q
How large may a model be?

### A
220 by 220 mm, and 250 mm high. With the camera installed the height is 235 mm.

::instruction#data::
### Q
Which materials can be printed?

### A
PLA, PETG and TPU. ABS needs the enclosure kit H-20, and nylon is not supported.

::instruction#data::
### Q
What temperatures are used for PETG?

### Q
Nozzle and bed settings for PETG

### Q
How hot must it be for PETG?

### A
240 °C at the nozzle and 75 °C at the bed, with the fan at 40 percent.

::instruction#data::
### Q
What temperatures are used for TPU?

### A
225 °C at the nozzle and 45 °C at the bed. Print no faster than 25 mm per second.

::instruction#data::
### Q
How loud is the printer?

### A
48 dB in normal mode and 39 dB in silent mode, which makes jobs a third longer.

::instruction#data::
### Q
How long does the warranty last?

### Q
Until when are repairs free?

### A
Two years from the date of purchase. Nozzles, steel sheets and fans are wear parts and are covered for 90 days only.

::instruction#data::
### Q
Where is the serial number?

### A
On a silver label under the spool holder. It begins with HM2 and has nine digits.
