//! Both halves as conversations.

mod back;
mod front;
mod login;
mod noise;
