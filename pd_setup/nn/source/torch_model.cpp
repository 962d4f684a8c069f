// A TorchScript file as a Model: reads its metadata and calls its methods with libtorch.
#include <ATen/Parallel.h>
#include <torch/cuda.h>
#include <torch/script.h>
#include <torch/utils.h>
#include <torch/version.h>

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>

#include "model.h"

namespace nn {
namespace {

constexpr int max_channels = 1024;
constexpr int max_ratio = 1 << 18;
constexpr const char* metadata_file = "metadata.json";  // written by this course's exporter; others have none

// One line of an exception's message. TorchScript's last line names the error; the first is used if `first`.
std::string reason(const std::exception& exception, bool first = false) {
    const auto* torch_error = dynamic_cast<const c10::Error*>(&exception);
    const std::string text = torch_error ? torch_error->what_without_backtrace() : exception.what();
    std::string found, line;
    for (const char letter : text + "\n") {
        if (letter != '\n') {
            line += letter;
            continue;
        }
        const auto start = line.find_first_not_of(" \t");
        if (start != std::string::npos && line.find("C++ backtrace") == std::string::npos && !(first && !found.empty()))
            found = line.substr(start);
        line.clear();
    }
    return found.substr(0, 200);
}

// The start of the value of "key": in a JSON text; null if there is no such key.
const char* json_value(const std::string& json, const std::string& key) {
    auto at = json.find("\"" + key + "\"");
    if (at == std::string::npos) return nullptr;
    at = json.find_first_not_of(" \t\r\n", at + key.size() + 2);
    if (at == std::string::npos || json[at] != ':') return nullptr;
    return json.c_str() + at + 1;
}

// "key": 123; empty if it is missing or not a number.
std::optional<double> json_number(const std::string& json, const std::string& key) {
    const char* text = json_value(json, key);
    double value;
    if (!text || std::sscanf(text, "%lf", &value) != 1) return {};
    return value;
}

// "key": [1, 2, 3], up to the first value that is not a number; may be empty.
std::vector<double> json_numbers(const std::string& json, const std::string& key) {
    std::vector<double> values;
    const char* text = json_value(json, key);
    int read = 0;
    if (!text || (std::sscanf(text, " [%n", &read), read == 0)) return values;
    double value;
    while (values.size() < max_channels) {
        text += read;
        read = 0;
        if (std::sscanf(text, "%lf %n", &value, &read) != 1 || read == 0 || !std::isfinite(value)) break;
        values.push_back(value);
        if (text[read] != ',') break;
        ++read;
    }
    return values;
}

std::optional<double> to_number(const c10::IValue& value) {
    if (value.isDouble()) return value.toDouble();
    if (value.isInt()) return static_cast<double>(value.toInt());
    if (value.isTensor() && value.toTensor().numel() == 1) return value.toTensor().item<double>();
    return {};
}

void flatten(const c10::IValue& value, std::vector<Value>& into) {
    if (into.size() >= 1000) return;
    if (value.isDouble()) into.emplace_back(value.toDouble());
    else if (value.isInt()) into.emplace_back(static_cast<double>(value.toInt()));
    else if (value.isBool()) into.emplace_back(value.toBool() ? 1.0 : 0.0);
    else if (value.isString()) into.emplace_back(value.toStringRef());
    else if (value.isTuple())
        for (const auto& part : value.toTupleRef().elements()) flatten(part, into);
    else if (value.isList())
        for (const c10::IValue& part : value.toListRef()) flatten(part, into);
    else if (value.isTensor()) {
        const auto all = value.toTensor().detach().to(torch::kCPU, torch::kDouble).flatten();
        for (int64_t i = 0; i < std::min<int64_t>(all.numel(), 1000); ++i) into.emplace_back(all[i].item<double>());
    }
}

double as_number(const Value& value) {
    if (const auto* number = std::get_if<double>(&value)) return *number;
    const auto& word = std::get<std::string>(value);
    if (word == "true" || word == "True" || word == "on") return 1;
    if (word == "false" || word == "False" || word == "off") return 0;
    char* end = nullptr;
    const double number = std::strtod(word.c_str(), &end);
    if (word.empty() || *end) throw std::invalid_argument("'" + word + "' is not a number");
    return number;
}

int64_t as_integer(const Value& value) {
    const double number = as_number(value);
    return std::isnan(number) ? 0 : static_cast<int64_t>(std::llround(std::clamp(number, -9e18, 9e18)));
}

std::string as_string(const Value& value) {
    if (const auto* word = std::get_if<std::string>(&value)) return *word;
    char text[32];
    std::snprintf(text, sizeof text, "%g", std::get<double>(value));
    return text;
}

using Values = std::vector<Value>::const_iterator;

// The next argument of a setter, converted to its type from one value; a list or tensor takes all remaining values.
c10::IValue argument(const c10::TypePtr& type, Values& next, Values end) {
    switch (type->kind()) {
        case c10::TypeKind::FloatType: return as_number(*next++);
        case c10::TypeKind::NumberType: return as_number(*next++);
        case c10::TypeKind::IntType: return as_integer(*next++);
        case c10::TypeKind::BoolType: return as_number(*next++) != 0;
        case c10::TypeKind::StringType: return as_string(*next++);
        case c10::TypeKind::TensorType: {
            std::vector<float> all;
            while (next != end) all.push_back(static_cast<float>(as_number(*next++)));
            return torch::tensor(all);
        }
        case c10::TypeKind::ListType: {
            const auto element = type->expectRef<c10::ListType>().getElementType();
            if (element->kind() == c10::TypeKind::ListType) break;
            c10::impl::GenericList all(element);
            while (next != end) all.push_back(argument(element, next, end));
            return all;
        }
        default: break;
    }
    throw std::invalid_argument("a value of the type " + type->str() + " cannot be sent from Pd");
}

class TorchModel : public Model {
public:
    explicit TorchModel(torch::jit::Module module) : module_(std::move(module)) {}

    const ModelInfo& info() const override { return info_; }

    void read(const std::string& metadata);

    std::unique_ptr<Model> copy(std::string& error) override {
        try {
            auto clone = std::make_unique<TorchModel>(module_.deepcopy());
            clone->info_ = info_;
            clone->device_ = device_;
            clone->bind_methods();
            return clone;
        } catch (const std::exception& exception) {
            error = reason(exception);
            return nullptr;
        }
    }

    bool run(const Method& method, const float* in, int in_frames, float* out, int out_frames, std::string& error) override {
        try {
            const c10::InferenceMode inference;
            // Copied, because the model may keep its input.
            auto x = torch::empty({1, method.in_channels, in_frames}, torch::kFloat);
            std::memcpy(x.data_ptr<float>(), in, sizeof(float) * method.in_channels * in_frames);
            if (device_ != torch::kCPU) x = x.to(device_);
            const c10::IValue answer = bound_.at(method.name)({x});
            if (!answer.isTensor()) {
                error = "'" + method.name + "' returned a " + answer.tagKind() + " instead of a tensor";
                return false;
            }
            auto y = answer.toTensor();
            if (y.dim() != 3 || y.size(0) != 1 || y.size(1) != method.out_channels || y.size(2) != out_frames) {
                std::string shape;
                for (const auto size : y.sizes()) shape += " " + std::to_string(size);
                error = "'" + method.name + "' returned the shape" + shape + " instead of 1 " +
                        std::to_string(method.out_channels) + " " + std::to_string(out_frames);
                return false;
            }
            y = y.to(torch::kCPU, torch::kFloat).contiguous();
            std::memcpy(out, y.data_ptr<float>(), sizeof(float) * method.out_channels * out_frames);
            return true;
        } catch (const std::exception& exception) {
            error = reason(exception);
        } catch (...) {
            error = "an unknown exception";
        }
        return false;
    }

    bool get(const std::string& attribute, std::vector<Value>& values, std::string& error) override {
        return guarded(attribute, error, [&] {
            const c10::InferenceMode inference;
            flatten(module_.get_method("get_" + attribute)({}), values);
        });
    }

    bool set(const std::string& attribute, const std::vector<Value>& values, std::string& error) override {
        return guarded(attribute, error, [&] {
            const c10::InferenceMode inference;
            const auto setter = module_.get_method("set_" + attribute);
            const auto& wanted = setter.function().getSchema().arguments();  // the first is `self`
            std::vector<c10::IValue> arguments;
            auto next = values.cbegin();
            for (std::size_t i = 1; i < wanted.size(); ++i) {
                if (next == values.cend() && !(wanted[i].default_value() && i > 1))
                    throw std::invalid_argument("expects " + std::to_string(wanted.size() - 1) + " values, got " +
                                                std::to_string(values.size()));
                if (next == values.cend()) break;
                arguments.push_back(argument(wanted[i].type(), next, values.cend()));
            }
            if (next != values.cend())
                throw std::invalid_argument("expects " + std::to_string(wanted.size() - 1) + " values, got " +
                                            std::to_string(values.size()));
            const auto answer = setter(std::move(arguments));
            if (answer.isInt() && answer.toInt() != 0)
                throw std::invalid_argument("the model rejected the value (" + std::to_string(answer.toInt()) + ")");
        });
    }

    bool use_gpu(bool on, std::string& error) override {
        try {
            if (on && !torch::cuda::is_available()) {
                error = "PyTorch finds no GPU: the model stays on the CPU";
                return false;
            }
            device_ = on ? torch::kCUDA : torch::kCPU;
            module_.to(device_);
            return true;
        } catch (const std::exception& exception) {
            device_ = torch::kCPU;
            error = reason(exception);
            try {
                module_.to(device_);
            } catch (const std::exception&) {  // the calls will fail and report it
            }
            return false;
        }
    }

private:
    template <class Work> bool guarded(const std::string& attribute, std::string& error, Work work) {
        const auto& known = info_.attributes;
        if (std::find(known.begin(), known.end(), attribute) == known.end()) {
            error = "the model has no attribute '" + attribute + "'";
            if (!known.empty()) error += ". It has:";
            for (const auto& name : known) error += " " + name;
            return false;
        }
        try {
            work();
            return true;
        } catch (const std::exception& exception) {
            error = "attribute '" + attribute + "': " + reason(exception);
        } catch (...) {
            error = "attribute '" + attribute + "': an unknown exception";
        }
        return false;
    }

    void bind_methods() {
        for (const auto& method : info_.methods) bound_.emplace(method.name, module_.get_method(method.name));
    }
    std::vector<std::string> names_from(const char* getter);
    void read_method(const std::string& name, const std::string& metadata);

    torch::jit::Module module_;
    ModelInfo info_;
    std::map<std::string, torch::jit::Method> bound_;
    torch::Device device_ = torch::kCPU;
};

// The result of get_methods() or get_attributes(); empty if the call fails.
std::vector<std::string> TorchModel::names_from(const char* getter) {
    std::vector<std::string> names;
    try {
        for (const c10::IValue& name : module_.get_method(getter)({}).toListRef())
            if (std::find(names.begin(), names.end(), name.toStringRef()) == names.end()) names.push_back(name.toStringRef());
    } catch (const std::exception& exception) {
        info_.notes.push_back(std::string(getter) + "() of the model failed: " + reason(exception));
        names.clear();
    }
    return names;
}

void TorchModel::read(const std::string& metadata) {
    module_.eval();
    std::vector<std::string> methods;
    if (module_.find_method("get_methods")) methods = names_from("get_methods");
    if (methods.empty())
        for (const auto& method : module_.get_methods())
            if (module_.hasattr(method.name() + "_params")) methods.push_back(method.name());
    for (const auto& name : methods) {
        try {
            read_method(name, metadata);
        } catch (const std::exception& exception) {
            info_.notes.push_back("the method '" + name + "' cannot be used: " + reason(exception));
        }
    }
    if (module_.find_method("get_attributes"))
        for (const auto& name : names_from("get_attributes")) {
            if (name == "none") continue;  // a placeholder of older exporters
            if (module_.find_method("get_" + name) && module_.find_method("set_" + name)) info_.attributes.push_back(name);
            else
                info_.notes.push_back("the attribute '" + name + "' cannot be used: get_" + name + " or set_" + name +
                                      " is missing");
        }
    info_.sample_rate = json_number(metadata, "sample_rate").value_or(0);
    info_.ranges = json_numbers(metadata, "latent_std");
    for (const char* name : {"sample_rate", "sampling_rate", "sr"})
        if (info_.sample_rate <= 0 && module_.hasattr(name)) info_.sample_rate = to_number(module_.attr(name)).value_or(0);
    bind_methods();
}

void TorchModel::read_method(const std::string& name, const std::string& metadata) {
    if (!module_.find_method(name)) throw std::invalid_argument("there is no such method");
    if (!module_.hasattr(name + "_params")) throw std::invalid_argument("there is no " + name + "_params");
    const auto params = module_.attr(name + "_params").toTensor().to(torch::kCPU, torch::kDouble).flatten();
    if (params.numel() != 4) throw std::invalid_argument(name + "_params must have four numbers");
    Method method{name, 0, 0, 0, 0};
    int* const numbers[] = {&method.in_channels, &method.in_ratio, &method.out_channels, &method.out_ratio};
    for (int i = 0; i < 4; ++i) {
        const double value = params[i].item<double>();
        const bool is_ratio = i % 2 == 1;
        if (!(value >= 1 && value <= (is_ratio ? max_ratio : max_channels) && value == std::floor(value)))
            throw std::invalid_argument(name + "_params holds " + std::to_string(value));
        *numbers[i] = static_cast<int>(value);
        if (is_ratio && (*numbers[i] & (*numbers[i] - 1)))
            throw std::invalid_argument("its ratio " + std::to_string(*numbers[i]) + " is not a power of two");
    }
    if (name == "encode") {
        if (const auto frames = json_number(metadata, "encode_delay_frames"))
            method.delay = static_cast<int>(*frames * method.out_ratio);
    } else if (const auto samples = json_number(metadata, name == "forward" ? "delay_samples" : name + "_delay_samples")) {
        method.delay = static_cast<int>(*samples);
    }
    info_.max_ratio = std::max({info_.max_ratio, method.in_ratio, method.out_ratio});
    info_.methods.push_back(method);
}

// Why a path cannot be a TorchScript file, checked before libtorch opens it; "" if it can.
std::string file_error(const std::string& path) {
    struct stat about{};
    if (stat(path.c_str(), &about) != 0) return "there is no file " + path + ".";
    if (S_ISDIR(about.st_mode)) return path + " is a folder: name a .ts file.";
    if (!S_ISREG(about.st_mode)) return path + " is not a file.";
    std::ifstream file(path, std::ios::binary);
    char start[4] = "";
    if (!file) return path + " cannot be read: look at its permissions.";
    if (!file.read(start, 4) || std::memcmp(start, "PK\3\4", 4) != 0) return path + " is not a TorchScript file.";
    return "";
}

}  // namespace

std::unique_ptr<Model> load_model(const std::string& path, std::string& error) {
    try {
        error = file_error(path);
        if (!error.empty()) return nullptr;
        torch::jit::ExtraFilesMap extra{{metadata_file, ""}};
        auto model = std::make_unique<TorchModel>(torch::jit::load(path, torch::kCPU, extra));
        model->read(extra[metadata_file]);
        if (!model->info().methods.empty()) return model;
        error = path + " has no method that nn~ can play.";
        for (const auto& note : model->info().notes) error += " " + note + ".";
    } catch (const std::exception& exception) {
        error = path + " is damaged, is not TorchScript, or was exported by a newer PyTorch than " TORCH_VERSION " (" +
                reason(exception, true) + ").";
    } catch (...) {
        error = path + " cannot be loaded for an unknown reason.";
    }
    return nullptr;
}

void configure_thread(bool own) {
    try {
        at::set_num_threads(1);  // on a busy machine more threads are slower: they wait for each other
        if (own) at::globalContext().setFlushDenormal(true);  // silence leads to denormal numbers, which are slow
    } catch (const std::exception&) {}
}

void seed() {
    try {
        torch::manual_seed(0);
    } catch (const std::exception&) {}
}

}  // namespace nn
