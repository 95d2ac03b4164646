//! Users' passwords and rights: each all at once, in one request.

use std::ffi::{CString, c_char};
use std::ptr;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::bindings as sys;
use rdkafka::client::Client;
use rdkafka::types::RDKafkaErrorCode as Code;
use sys::rd_kafka_AclOperation_t as Allowed;
use sys::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW as ALLOW;
use sys::rd_kafka_ResourcePatternType_t as Pattern;
use sys::rd_kafka_ResourceType_t as Kind;

use super::{ask, refused};
use crate::Error;
use crate::rights::{Acl, Operation, Password, Resource};

/// What Kafka's own tools take: enough rounds that a stolen verifier is no password.
const ITERATIONS: i32 = 4096;

/// Grants every right of a list; what is granted already is no error. Blocks.
pub(crate) fn create_acls<C: ClientContext>(
    client: &Client<C>,
    acls: &[Acl],
    wait: Duration,
) -> Result<(), Error> {
    const DOING: &str = "grant rights";
    let bindings: Vec<Binding> = acls
        .iter()
        .map(|acl| binding(acl).ok_or_else(|| refused(DOING, Code::InvalidArgument)))
        .collect::<Result<_, _>>()?;
    let mut pointers: Vec<_> = bindings.iter().map(|binding| binding.0).collect();
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATEACLS;
    // SAFETY: the bindings are guarded and outlive the request, which copies them; the event owns all
    // that is read of the answer, and the array has as many entries as the client says.
    let code = unsafe {
        let event = ask(client, operation, wait, DOING, |client, options, queue| {
            sys::rd_kafka_CreateAcls(
                client,
                pointers.as_mut_ptr(),
                pointers.len(),
                options,
                queue,
            );
        })?;
        let result = sys::rd_kafka_event_CreateAcls_result(event.0);
        let mut count = 0;
        let answers = sys::rd_kafka_CreateAcls_result_acls(result, &raw mut count);
        (0..count)
            .map(|place| code(sys::rd_kafka_acl_result_error(*answers.add(place))))
            .find(|code| *code != Code::NoError)
    };
    code.map_or(Ok(()), |code| Err(refused(DOING, code)))
}

/// Sets the passwords of users, new ones or not. Blocks.
pub(crate) fn set_passwords<C: ClientContext>(
    client: &Client<C>,
    users: &[Password],
    wait: Duration,
) -> Result<(), Error> {
    const DOING: &str = "set passwords";
    let alterations: Vec<Alteration> = users
        .iter()
        .map(|user| alteration(user).ok_or_else(|| refused(DOING, Code::InvalidArgument)))
        .collect::<Result<_, _>>()?;
    let mut pointers: Vec<_> = alterations.iter().map(|one| one.0).collect();
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_ALTERUSERSCRAMCREDENTIALS;
    // SAFETY: as in `create_acls`.
    let code = unsafe {
        let event = ask(client, operation, wait, DOING, |client, options, queue| {
            let count = pointers.len();
            let first = pointers.as_mut_ptr();
            sys::rd_kafka_AlterUserScramCredentials(client, first, count, options, queue);
        })?;
        let result = sys::rd_kafka_event_AlterUserScramCredentials_result(event.0);
        let mut count = 0;
        let answers =
            sys::rd_kafka_AlterUserScramCredentials_result_responses(result, &raw mut count);
        (0..count)
            .map(|place| {
                let answer = *answers.add(place);
                code(sys::rd_kafka_AlterUserScramCredentials_result_response_error(answer))
            })
            .find(|code| *code != Code::NoError)
    };
    code.map_or(Ok(()), |code| Err(refused(DOING, code)))
}

/// # Safety
/// The pointer is null or points at an error that is alive.
unsafe fn code(error: *const sys::rd_kafka_error_t) -> Code {
    if error.is_null() {
        return Code::NoError;
    }
    // SAFETY: promised by the caller.
    Code::from(unsafe { sys::rd_kafka_error_code(error) })
}

/// `None` when the library refuses the words.
fn binding(acl: &Acl) -> Option<Binding> {
    let (kind, pattern) = kind(&acl.resource);
    let name = CString::new(acl.resource.name()).ok()?;
    let principal = CString::new(format!("User:{}", acl.user)).ok()?;
    let mut complaint: [c_char; 256] = [0; 256];
    // SAFETY: the strings outlive the call, which copies them; the complaint is as long as is said.
    let made = unsafe {
        sys::rd_kafka_AclBinding_new(
            kind,
            name.as_ptr(),
            pattern,
            principal.as_ptr(),
            c"*".as_ptr(),
            allowed(acl.operation),
            ALLOW,
            complaint.as_mut_ptr(),
            complaint.len(),
        )
    };
    (!made.is_null()).then_some(Binding(made))
}

const fn kind(resource: &Resource) -> (Kind, Pattern) {
    let (literal, prefixed) = (
        Pattern::RD_KAFKA_RESOURCE_PATTERN_LITERAL,
        Pattern::RD_KAFKA_RESOURCE_PATTERN_PREFIXED,
    );
    match resource {
        Resource::Topic(_) => (Kind::RD_KAFKA_RESOURCE_TOPIC, literal),
        Resource::TopicPrefix(_) => (Kind::RD_KAFKA_RESOURCE_TOPIC, prefixed),
        Resource::Group(_) => (Kind::RD_KAFKA_RESOURCE_GROUP, literal),
        Resource::GroupPrefix(_) => (Kind::RD_KAFKA_RESOURCE_GROUP, prefixed),
        Resource::Cluster => (Kind::RD_KAFKA_RESOURCE_BROKER, literal),
    }
}

const fn allowed(operation: Operation) -> Allowed {
    match operation {
        Operation::Read => Allowed::RD_KAFKA_ACL_OPERATION_READ,
        Operation::Write => Allowed::RD_KAFKA_ACL_OPERATION_WRITE,
        Operation::Describe => Allowed::RD_KAFKA_ACL_OPERATION_DESCRIBE,
        Operation::DescribeConfigs => Allowed::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS,
        Operation::All => Allowed::RD_KAFKA_ACL_OPERATION_ALL,
    }
}

/// `None` when the library refuses the words. It makes the salt itself.
fn alteration(user: &Password) -> Option<Alteration> {
    let name = CString::new(user.user.as_str()).ok()?;
    // SAFETY: name and password outlive the call, which copies them.
    let made = unsafe {
        sys::rd_kafka_UserScramCredentialUpsertion_new(
            name.as_ptr(),
            sys::rd_kafka_ScramMechanism_t::RD_KAFKA_SCRAM_MECHANISM_SHA_512,
            ITERATIONS,
            user.password.as_ptr(),
            user.password.len(),
            ptr::null(),
            0,
        )
    };
    (!made.is_null()).then_some(Alteration(made))
}

super::guards! {
    Binding(sys::rd_kafka_AclBinding_t) by sys::rd_kafka_AclBinding_destroy;
    Alteration(sys::rd_kafka_UserScramCredentialAlteration_t)
        by sys::rd_kafka_UserScramCredentialAlteration_destroy;
}
