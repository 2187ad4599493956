//! The data plane: holds the published ports of the host, and forwards TCP to
//! containers.

mod http;
