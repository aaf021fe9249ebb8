mod back;
mod front;
mod noise;
