"""What a new user does and sees, in a real Home Assistant with a real browser, from discovery to the phone."""
