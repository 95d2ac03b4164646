//! Against a real broker.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod member;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod producer;
#[cfg(test)]
mod reader;
#[cfg(test)]
mod sending;
#[cfg(test)]
mod subscription;
