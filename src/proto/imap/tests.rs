//! Both halves as conversations.

mod back;
mod bounds;
mod front;
mod login;
mod noise;
