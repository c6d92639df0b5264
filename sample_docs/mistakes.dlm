---
# A document to try `dlm check` on: each mistake in it is one that people make, and a comment or sentence names it.
# It cannot be trained until they are put right.
dlm_id: 01M80E2XX9H73A5ZQ388STD2NY
dlm_version: 15
base_model: smollm2-135m

training:
  sequence_length: 512     # unknown key: sequence_len is meant
  seed: forty-two          # wrong type: a whole number is meant
  warmup_ratio: 1.5        # out of range: a share between 0 and 1
  optimizer: adam          # not one of the values there are
  audio:                   # known, but without effect here
    sample_rate: 16000
  adapters:
    facts: {}
    tone:
      lora_r: 0            # out of range: the smallest rank is 1
    Notes: {}              # adapter names are lower case
  gate:
    enabled: "yes"         # wrong type: quoted, it is text and not a truth value
---

::prose#facts::
The frontmatter above has seven errors and one warning; from here on the mistakes are in the body. This section is sound.

::instruction#tnoe::
### Q
Which adapter does this section belong to?

### A
To none that is declared. The tag says tnoe where tone is meant.

::Instruction#tone::
### Q
Is this fence read as a fence?

### A
No. Case matters, so a capital I makes it a mistake.

::instructions#tone::
### Q
Which kinds of section are there?

### A
There are prose, instruction and preference. This fence has an s too many.

::instruction#facts::
### A
This answer has no question above it.

::instruction#facts::
### Q
What happens to a question that nobody answers?

::instruction#facts::
### Q
Can an answer be empty?

### A

::instruction#facts::
### Question
Is this heading known?

### A
No. The headings of an instruction are Q and A, each alone on its line.

::instruction#facts::
Text without any heading is not a question, so there is nothing here to learn.

::preference#tone::
### Prompt
Please shorten this notice: "We would hereby like to inform you that the office is closed on Friday."

### Chosen
The office is closed on Friday.

::prose#tone::

::image src="floorplan.png"::
Pictures are recognised and refused: a dlm document trains on text alone.

::prose#facts::
The code block below is never closed, so the fence inside it stays text and the last section never begins.

```text
::instruction#facts::
### Q
Am I a question?

### A
Only once the block above me has an end.
