use std::fs;

/// The id of the container that this server runs in, if it does.
pub(super) fn id() -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(container_of).map(str::to_owned)
}

/// The engine mounts `…/containers/<id>/hostname` and the like in `/etc`; on its own host
/// there are mounts of containers elsewhere.
fn container_of(mount: &str) -> Option<&str> {
    let mut fields = mount.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let (_, rest) = root.split_once("/containers/")?;
    if !point.starts_with("/etc/") {
        return None;
    }
    let id = rest.split('/').next()?;
    (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::container_of;

    #[test]
    fn the_id_is_read_off_the_mounts_of_a_container() {
        let id = "ab".repeat(32);
        let mount = format!("1 2 8:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw");
        assert_eq!(container_of(&mount), Some(id.as_str()));
        assert_eq!(container_of("1 2 8:1 / /containers/x rw"), None);
        let host = format!("1 2 0:9 / /var/lib/docker/containers/{id}/mounts/shm rw");
        assert_eq!(container_of(&host), None);
    }
}
