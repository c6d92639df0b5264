---
# Customer help of Pennywhistle & Daughters, an online shop.
dlm_id: 01K7Q3ZB9M4T8XV2HRWD5N6CJE
dlm_version: 15
base_model: smollm2-135m
system_prompt: You are the help desk of an online shop.

training:
  seed: 42
  adapters:
    orders: {}
    returns: {}
    vouchers: {}
---

::instruction#orders::
### Q
How do I change the delivery address of an order?

### Q
I ordered to my old address. Can I still correct it?

### A
Open "My orders" and click "Edit address" within two hours of ordering. After that, write to dispatch@pennywhistle.shop, and we can redirect the parcel until the label is printed at 15:00.

::instruction#orders::
### Q
How do I cancel an order?

### A
You can cancel with one click in "My orders" until the status turns to "Packed". Once it is packed, accept the parcel and send it back as a return.

::instruction#orders::
### Q
How long does standard delivery take?

### Q
When will my parcel arrive with normal shipping?

### Q
How many days until a standard parcel gets here?

### A
Standard delivery takes three to five working days and costs 4.50 pounds. It is free from 60 pounds upwards.

::instruction#orders::
### Q
How does express delivery work?

### A
Express costs 9.90 pounds and arrives the next working day if you order before 13:00. It is not offered for furniture.

::instruction#orders::
### Q
Where do I see where my parcel is?

### Q
How can I track my order?

### A
The dispatch email contains a tracking link of the carrier Swiftparcel. The link starts working about six hours after the email.

::instruction#orders::
### Q
My parcel is marked as delivered, but I have not got it. What should I do?

### A
Ask your neighbours and wait one full day, then call us on 0800 555 014. We open a search with the carrier, which takes up to eight working days.

::instruction#orders::
### Q
Which ways to pay do you accept?

### Q
How can I pay for my order?

### A
We take Visa, Mastercard, PayPal and bank transfer. With a bank transfer we ship when the money has arrived, usually after two days.

::instruction#orders::
### Q
Why was my card declined at checkout?

### A
In most cases your bank wanted a confirmation in its app and did not get one within five minutes. Try again, and keep the banking app open while you pay.

::instruction#orders::
### Q
How do I get an invoice for my company?

### Q
I need a bill with a VAT number on it. How?

### A
Enter the company name and VAT number in the field "Business purchase" before you pay. We cannot add them to an invoice afterwards.

::instruction#returns::
### Q
How many days do I have to send something back?

### Q
What is your return period?

### Q
Until when can I return an item?

### A
You have 30 days from the day the parcel reached you. For orders placed between 15 November and 24 December the period runs until 31 January.

::instruction#returns::
### Q
How do I send an item back?

### Q
What are the steps for a return?

### A
Register the return in "My orders", print the label and hand the box in at any Swiftparcel shop. Keep the receipt until you have your money.

::instruction#returns::
### Q
What does a return cost?

### A
Returns are free for members of the Penny Club. Everybody else pays 2.95 pounds, which we take off the refund.

::instruction#returns::
### Q
When do I get my money back after a return?

### Q
How long does a refund take?

### A
We check the goods within four working days and then pay back to the method you paid with. Card refunds show up after three more days, PayPal at once.

::instruction#returns::
### Q
Which items can I not return?

### A
Opened cosmetics, earrings, cut fabric and anything with an engraving stay with you. Everything else can come back unused and with its tag.

::instruction#returns::
### Q
My item arrived broken. What do I do?

### Q
Something in my parcel is damaged. How do I report it?

### A
Send two photos, one of the item and one of the box, to care@pennywhistle.shop within 14 days. We send a replacement and you need not return the pieces.

::instruction#returns::
### Q
I received the wrong item. What now?

### A
Do not register a return. Write to care@pennywhistle.shop with the order number, and a courier collects the wrong item when he brings the right one.

::instruction#returns::
### Q
How do I exchange an item for another size?

### A
We do not exchange directly. Return the item and order the other size; write "SIZE" in the order note and delivery is free.

::instruction#vouchers::
### Q
How do I redeem a voucher?

### Q
Where do I enter my gift code?

### Q
How can I use a gift card when I pay?

### A
Type the 12-digit code into the box "Voucher or gift card" on the payment page. You can use up to two codes for one order.

::instruction#vouchers::
### Q
How long is a gift card valid?

### A
Gift cards are valid for three years from the day they were bought. The date stands on the back, below the code.

::instruction#vouchers::
### Q
What happens to the rest when my order costs less than the voucher?

### Q
Is the remaining value of a gift card lost?

### A
The rest stays on the same code, and you can spend it on later orders. We never pay it out in cash.

::instruction#vouchers::
### Q
How do I get the newsletter discount?

### A
Subscribe to the newsletter and confirm the link in the first email. You then get a code for 10 percent off, good for one order above 25 pounds.

::instruction#vouchers::
### Q
Can I combine a discount code with the sale?

### Q
Do discount codes work on reduced items?

### A
No, a discount code only counts for items at full price. Gift cards work on everything, the sale included.

::instruction#vouchers::
### Q
How do I buy a gift card for somebody else?

### A
Choose a value between 10 and 250 pounds on the page "Gifts" and the day on which it should be emailed. A printed card in an envelope costs 2 pounds more.

::instruction#vouchers::
### Q
What is the Penny Club?

### A
The Penny Club is our free loyalty scheme: one point for each pound spent, and 100 points become a voucher of 5 pounds. Points lapse after 18 months.
