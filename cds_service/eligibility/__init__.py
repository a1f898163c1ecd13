"""From one patient's record to an explained verdict on every criterion of a trial. No I/O, no clock."""
