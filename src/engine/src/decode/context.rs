//! Security contexts: `user:role:domain[:level[:categories]]` as SELinux writes them.

/// The parts of a context, joined by `:` the same text again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    pub user: &'a [u8],
    pub role: &'a [u8],
    pub domain: &'a [u8],
    pub level: Option<&'a [u8]>,
    pub category: Option<&'a [u8]>,
}

/// Takes a context apart, or says that it is none (AppArmor and Smack labels).
pub fn parse(text: &[u8]) -> Option<Context<'_>> {
    if text.contains(&b'/') || text.contains(&b' ') {
        return None;
    }
    let mut parts = text.splitn(5, |&b| b == b':');
    let (user, role, domain) = (parts.next()?, parts.next()?, parts.next()?);
    if user.is_empty() || role.is_empty() || domain.is_empty() {
        return None;
    }
    Some(Context { user, role, domain, level: parts.next(), category: parts.next() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selinux_contexts_and_other_labels() {
        let context = parse(b"unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023").unwrap();
        assert_eq!(context.domain, b"unconfined_t");
        assert_eq!(context.level, Some(&b"s0-s0"[..]));
        assert_eq!(context.category, Some(&b"c0.c1023"[..]));
        assert_eq!(parse(b"u:r:t").unwrap().level, None);
        for label in [&b"unconfined"[..], b"/usr/sbin/cupsd (enforce)", b"u:r", b"::", b"_"] {
            assert_eq!(parse(label), None);
        }
    }
}
