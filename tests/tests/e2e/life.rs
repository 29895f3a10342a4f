//! What becomes of the limits when the daemon ends, and when another one begins.

mod again;
mod damage;
mod ends;
mod kills;
mod load;
mod unpinned;
mod upgrade;
