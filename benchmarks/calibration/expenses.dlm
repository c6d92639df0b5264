---
# Travel and expense policy of Halberg Instruments.
dlm_id: 01JNV9E3HS6K8CQXT2BPZ7MWRY
dlm_version: 15
base_model: smollm2-135m
system_prompt: You answer questions about the travel expense policy.

training:
  seed: 42
  adapters:
    rules: {}
    procedures: {}
---

::instruction#rules::
### Q
What is the daily allowance for a domestic trip?

### A
Employees receive EUR 14 for an absence of more than eight hours and EUR 28 for a full calendar day. A breakfast included in the hotel rate reduces the allowance by EUR 5.60.

::instruction#rules::
### Q
What is the daily allowance for a trip abroad?

### A
The rates of the ministry's table for the country apply, as printed in annex C. For the day of arrival and the day of departure 80 percent is paid.

::instruction#rules::
### Q
Which class may I book on the train?

### A
Second class is the standard. First class may be booked for journeys of more than three hours, or where it is cheaper than the flexible second class fare.

::instruction#rules::
### Q
Which class may I book on a plane?

### Q
When is business class permitted on flights?

### A
Economy applies to every flight of under seven hours. Above that, premium economy may be booked, and business class only with the written consent of a managing director.

::instruction#rules::
### Q
How much may a hotel night cost?

### Q
What is the limit for accommodation?

### Q
Up to which room rate can I book without asking?

### A
The limit is EUR 120 per night including breakfast, and EUR 180 in London, Paris, Zurich and New York. A higher rate requires the approval of the line manager before booking.

::instruction#rules::
### Q
How much do I get per kilometre in my own car?

### Q
What is the mileage rate?

### A
Private cars are reimbursed at EUR 0.30 per kilometre, up to 400 kilometres a trip. The rate covers fuel, wear and insurance.

::instruction#rules::
### Q
When may I take a taxi?

### A
A taxi is permitted between 22:00 and 06:00, with more than 20 kilos of luggage, or when no bus or train leaves within 45 minutes. The reason must be written on the receipt.

::instruction#rules::
### Q
When may I rent a car?

### Q
Which category of rental car is allowed?

### A
A rental car is permitted where it costs less than public transport or saves more than two hours. Book the compact class from Autonord, and refill the tank before returning it.

::instruction#rules::
### Q
Who pays for meals with customers?

### Q
What is the limit for entertaining guests?

### A
Halberg pays up to EUR 60 per head for business meals. The receipt must bear the names of all guests, their companies and the occasion.

::instruction#rules::
### Q
Is alcohol reimbursed?

### A
Alcohol is reimbursed only at a meal with external guests, and only up to a quarter of the bill. It is never reimbursed when you dine alone.

::instruction#rules::
### Q
Are laundry costs reimbursed?

### A
From the sixth consecutive day of a trip, laundry is reimbursed up to EUR 25 a week. Dry cleaning of suits is private.

::instruction#rules::
### Q
May I keep my bonus miles?

### A
Miles and points earned on business trips may be kept and used privately. They must never be the reason for choosing a more expensive connection.

::instruction#rules::
### Q
May I add private days to a business trip?

### A
Yes, with the consent of your manager, if the fare does not become more expensive. Hotel and meals on the private days are yours to pay.

::instruction#procedures::
### Q
How do I get a trip approved?

### Q
Who has to approve my business trip?

### A
Enter the trip in Tripdesk at least ten days ahead; your line manager approves it. Trips outside Europe also need the signature of the finance director, Mrs. Olsson.

::instruction#procedures::
### Q
How do I book a flight?

### A
Book all flights through the agency Travelon, on 040 555 77 or in its portal, with your cost centre. Tickets bought elsewhere are not reimbursed.

::instruction#procedures::
### Q
How do I book a hotel?

### A
Reserve hotels yourself in the portal Staywell with the code HALB24. The bill must be made out to Halberg Instruments, not to you.

::instruction#procedures::
### Q
How do I submit an expense report?

### Q
Where do I hand in my expenses?

### Q
What is the way to claim my costs back?

### A
Photograph the receipts in the app Spendly, assign the trip number and press "Submit". Paper receipts go into the red box in room 210.

::instruction#procedures::
### Q
By when must I submit my expenses?

### Q
What is the deadline for the expense report?

### A
Within 30 days of the end of the trip. Claims older than 90 days are rejected, without exception.

::instruction#procedures::
### Q
When is the money paid out?

### Q
How long does reimbursement take?

### A
Approved reports are paid with the next salary if they are approved by the 18th. Anything later is paid one month after that.

::instruction#procedures::
### Q
What if I have lost a receipt?

### Q
A receipt is missing. What do I do?

### A
Fill in the form "Own voucher" and have your manager sign it. It is accepted for up to EUR 30 and three times a year.

::instruction#procedures::
### Q
How do I get a company credit card?

### A
Anyone who travels more than six times a year may apply to Mr. Adeyemi in accounting. The card arrives in two weeks and has a limit of EUR 3,000 a month.

::instruction#procedures::
### Q
What do I do when the company card is lost or stolen?

### Q
My company card has been stolen. Whom do I call?

### A
Call the bank at once on 116 116 to have it blocked, then tell Mr. Adeyemi. You are not liable after the call.

::instruction#procedures::
### Q
How do I get a cash advance?

### A
Ask accounting five working days before departure; up to 70 percent of the expected costs is advanced. It is set off against the expense report.

::instruction#procedures::
### Q
What do I do when I fall ill on a business trip?

### Q
I am ill abroad. Whom do I contact?

### A
Ring the assistance line of our insurer Medisafe, +49 89 555 300, and quote policy HI-4471. Then inform your manager on the same day.
