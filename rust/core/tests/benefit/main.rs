//! Settlement and its packages: the rules one by one, and what holds for every package, bill and history.

mod example;
mod packages;
mod properties;
mod rules;
